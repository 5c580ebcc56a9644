//! Outcomes compressed and encrypted at rest, and records that were stored before.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, begin, key_of, replayed, start, stored};
use redis_idem::{Completion, Error, Fingerprint, Idempotency, Keyring, Options, Scope};
use redis_patterns_core::{Args, ErrorKind};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

fn engine(t: &TestRedis, options: Options) -> Idempotency {
    Idempotency::with_options(t.redis.clone(), options).unwrap()
}

fn keyring(id: u32) -> Keyring {
    Keyring::new(id, &[7; 32])
}

/// The forms that an engine may be told to store.
fn forms() -> [Options; 4] {
    let plain = Options::new;
    let sealed = || plain().encrypted(keyring(1));
    [plain(), plain().compressed(), sealed(), sealed().compressed()]
}

/// Completes the request and answers the packed record.
async fn complete(t: &TestRedis, requests: &Idempotency, key: &str, outcome: &[u8]) -> (String, Vec<u8>) {
    let claim = start(requests, key).await;
    let request = claim.request().to_owned();
    assert_eq!(claim.complete(outcome.to_vec()).await.unwrap(), Completion::Stored);
    let record = stored(&t.redis, &request).await.0.unwrap();
    (request, record)
}

async fn put(t: &TestRedis, request: &str, record: &[u8]) {
    let args = Args::new().bytes(record).word("PX").int(60_000);
    t.redis.command::<()>("SET", &[&key_of(&t.redis, request)], &args).await.unwrap();
}

/// The request is answered an error that says why, and does not run.
async fn refused(requests: &Idempotency, key: &str) -> String {
    let asked = requests.begin(&Scope::tenant("acme"), "POST /pay", key, Fingerprint::of(BODY)).await;
    let Err(Error::Redis(error)) = asked else { panic!("it was read: {asked:?}") };
    assert_eq!(error.kind(), ErrorKind::Codec);
    error.to_string()
}

fn text(bytes: usize) -> Vec<u8> {
    b"a receipt that says much the same again and again; ".iter().copied().cycle().take(bytes).collect()
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

on_every_topology! {
    async fn every_form_gives_back_what_was_stored(t: TestRedis) {
        for (number, options) in forms().into_iter().enumerate() {
            let requests = engine(&t, options);
            for outcome in [Vec::new(), b"paid".to_vec(), text(1_024), text(1_025), text(1 << 20), noise(5_000)] {
                let key = format!("{number} {} {:?}", outcome.len(), outcome.first());
                complete(&t, &requests, &key, &outcome).await;
                assert_eq!(replayed(begin(&requests, &key, BODY).await), outcome, "{key}");
            }
        }
    }

    /// All options read what any of them stored before, as long as they have its keys.
    async fn what_was_stored_before_stays_readable(t: TestRedis) {
        let everything = engine(&t, Options::new().compressed().encrypted(keyring(2).also_opens(1, &[7; 32])));
        for (number, options) in forms().into_iter().enumerate() {
            let key = format!("k{number}");
            complete(&t, &engine(&t, options), &key, &text(3_000)).await;
            assert_eq!(replayed(begin(&everything, &key, BODY).await), text(3_000));
        }
        // A record of version 1, as it was packed then.
        let (request, record) = complete(&t, &everything, "old", b"").await;
        let mut old = record[..56].to_vec();
        old[1] = 1;
        old.extend([30_000_u64, 86_400_000].map(u64::to_be_bytes).concat());
        old.extend(b"paid long ago");
        put(&t, &request, &old).await;
        assert_eq!(replayed(begin(&everything, "old", BODY).await), b"paid long ago");
    }

    async fn long_outcomes_take_less_if_that_makes_them_shorter(t: TestRedis) {
        let requests = engine(&t, Options::new().compressed());
        let mut taken = Vec::new();
        for outcome in [text(1_024), text(1_025), text(100_000), noise(10_000)] {
            taken.push(complete(&t, &requests, &outcome.len().to_string(), &outcome).await.1.len() - 75);
        }
        assert_eq!((taken[0], taken[3]), (1_024, 10_000));
        assert!(taken[1] < 200 && taken[2] < 2_000, "{taken:?}");
    }

    async fn an_encrypted_outcome_is_not_to_be_found_in_redis(t: TestRedis) {
        let (_, record) = complete(&t, &engine(&t, Options::new().encrypted(keyring(1))), "k", b"SECRET").await;
        assert!(!record.windows(6).any(|bytes| bytes == b"SECRET"));
        assert_eq!(record.len(), 75 + 45 + 6);
    }

    async fn without_its_key_an_outcome_is_an_error_and_nothing_runs(t: TestRedis) {
        complete(&t, &engine(&t, Options::new().encrypted(keyring(1))), "k", b"paid").await;
        let without = refused(&engine(&t, Options::new()), "k").await;
        assert!(without.contains("give the options its keyring"), "{without}");
        let other = refused(&engine(&t, Options::new().encrypted(Keyring::new(1, &[8; 32]))), "k").await;
        assert!(other.contains("belongs to another record"), "{other}");
        let unknown = refused(&engine(&t, Options::new().encrypted(keyring(2))), "k").await;
        assert!(unknown.contains("not on the ring"), "{unknown}");
    }

    /// Who can write to Redis cannot put one request's outcome in the place of another's.
    async fn an_outcome_of_another_request_is_refused(t: TestRedis) {
        let requests = engine(&t, Options::new().encrypted(keyring(1)));
        let (_, anns) = complete(&t, &requests, "ann", b"100").await;
        let (bob, _) = complete(&t, &requests, "bob", b"1").await;
        put(&t, &bob, &anns).await;
        assert!(refused(&requests, "bob").await.contains("belongs to another record"));
    }

    /// Every changed byte of an encrypted outcome, and of what says how to read it.
    async fn a_changed_outcome_is_refused(t: TestRedis) {
        let requests = engine(&t, Options::new().compressed().encrypted(keyring(1)));
        let (request, good) = complete(&t, &requests, "k", &text(2_000)).await;
        for place in 75..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            put(&t, &request, &bad).await;
            refused(&requests, "k").await;
        }
        for form in 0..=255_u8 {
            let mut bad = good.clone();
            bad[74] = form;
            // As if it had been stored in plain form: it is, then, and says nothing.
            if form == 0 || form == good[74] {
                continue;
            }
            put(&t, &request, &bad).await;
            refused(&requests, "k").await;
        }
    }

    /// A compressed outcome that says it is longer than anything is refused before room is made for it.
    async fn a_compressed_outcome_that_would_fill_the_memory_is_refused(t: TestRedis) {
        let requests = engine(&t, Options::new().compressed());
        let (request, mut record) = complete(&t, &requests, "k", &text(2_000)).await;
        record[75..79].copy_from_slice(&u32::MAX.to_le_bytes());
        put(&t, &request, &record).await;
        assert!(refused(&requests, "k").await.contains("longer than 64 MiB"));
        for byte in &mut record[79..] {
            *byte ^= 0xFF;
        }
        record[75..79].copy_from_slice(&2_000_u32.to_le_bytes());
        put(&t, &request, &record).await;
        assert!(refused(&requests, "k").await.contains("corrupt"));
    }
}
