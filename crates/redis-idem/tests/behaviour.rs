//! One test per sentence of the README's promises.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, DAY, LEASE, begin, end_lease, forget_when, key_of, replayed, start, started, stored};
use redis_idem::{Begin, Completion, Error, Fingerprint, Idempotency, Options, Release, Scope};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::{Options as ServerOptions, Standalone};
use std::time::Duration;

on_every_topology! {
    async fn a_request_runs_once_and_is_replayed_after(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        assert_eq!(claim.attempt(), 1);
        assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
        for _ in 0..3 {
            assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
        }
    }

    async fn an_outcome_of_any_bytes_comes_back_as_it_was(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let every_byte: Vec<u8> = (0..=255).collect();
        for outcome in [Vec::new(), every_byte, vec![0xA7; 1 << 20]] {
            let key = format!("k{}", outcome.len());
            assert_eq!(start(&requests, &key).await.complete(outcome.clone()).await.unwrap(), Completion::Stored);
            assert_eq!(replayed(begin(&requests, &key, BODY).await), outcome);
        }
    }

    async fn while_it_runs_others_are_told_when_to_ask_again(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let Begin::InProgress { retry_after } = begin(&requests, "k", BODY).await else {
            panic!("two run at a time");
        };
        assert!(retry_after > Duration::ZERO && retry_after <= LEASE, "{retry_after:?}");
        assert_eq!(claim.complete("").await.unwrap(), Completion::Stored);
    }

    /// The claimer's clock saves a round trip and decides nothing: one that is a day off costs a round trip.
    async fn a_clock_that_is_wrong_lets_nothing_run_twice(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        for wrong in [1_u64, u64::MAX, 4_102_444_800_000] {
            let at = Args::new().int(68).bytes(&wrong.to_be_bytes()[2..]);
            t.redis.command::<()>("SETRANGE", &[&key], &at).await.unwrap();
            assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
        }
        assert_eq!(claim.complete("").await.unwrap(), Completion::Stored);
    }

    async fn another_body_never_runs_under_the_same_key(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let mismatched = async || matches!(begin(&requests, "k", "other").await, Begin::Mismatch);
        let claim = start(&requests, "k").await;
        assert!(mismatched().await, "while in progress");
        end_lease(&t.redis, claim.request()).await;
        assert!(mismatched().await, "after a crash");
        let second = start(&requests, "k").await;
        assert_eq!(second.complete("paid").await.unwrap(), Completion::Stored);
        assert!(mismatched().await, "after completion");
    }

    async fn a_release_lets_the_next_request_run_whatever_its_body(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        assert_eq!(start(&requests, "k").await.release().await.unwrap(), Release::Released);
        assert_eq!(t.keys().await, Vec::<String>::new());
        assert_eq!(started(begin(&requests, "k", "other").await).attempt(), 1);
    }

    async fn a_crash_costs_a_lease_and_the_next_attempt_knows_of_it(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let died = start(&requests, "k").await;
        let request = died.request().to_owned();
        drop(died);
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
        end_lease(&t.redis, &request).await;
        let second = start(&requests, "k").await;
        assert_eq!((second.attempt(), second.request()), (2, request.as_str()));
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }), "a lease of its own");
        assert_eq!(second.complete("paid").await.unwrap(), Completion::Stored);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
    }

    async fn a_release_after_a_crash_keeps_the_fingerprint_and_the_count(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        end_lease(&t.redis, start(&requests, "k").await.request()).await;
        let second = start(&requests, "k").await;
        assert_eq!(second.release().await.unwrap(), Release::Released);
        assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
        assert_eq!(start(&requests, "k").await.attempt(), 3);
    }

    async fn a_record_is_kept_for_its_retention_from_its_last_change(t: TestRedis) {
        let options = Options::new().retention(Duration::from_secs(100)).lease(Duration::from_secs(10));
        let requests = Idempotency::with_options(t.redis.clone(), options).unwrap();
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        let ttl_ms = async || t.redis.command::<i64>("PTTL", &[&key], &Args::new()).await.unwrap();
        let all_of_it = 99_000..=100_000;
        assert!(all_of_it.contains(&ttl_ms().await));
        t.redis.command::<()>("PEXPIRE", &[&key], &Args::new().int(50_000)).await.unwrap();
        assert_eq!(claim.complete("").await.unwrap(), Completion::Stored);
        assert!(all_of_it.contains(&ttl_ms().await), "counted from completion");
        t.redis.command::<()>("PEXPIREAT", &[&key], &Args::new().int(1)).await.unwrap();
        assert_eq!(start(&requests, "k").await.attempt(), 1, "after the retention it is a new request");
    }

    async fn engines_of_other_settings_agree_on_a_claim_by_its_own_lease(t: TestRedis) {
        let patient = Idempotency::new(t.redis.clone());
        let hasty = Options::new().retention(Duration::from_secs(60)).lease(Duration::from_millis(1));
        let hasty = Idempotency::with_options(t.redis.clone(), hasty).unwrap();
        let claim = start(&patient, "k").await;
        assert!(matches!(begin(&hasty, "k", BODY).await, Begin::InProgress { .. }));
        assert_eq!(claim.complete("").await.unwrap(), Completion::Stored);
    }

    async fn every_key_has_a_ttl_and_one_that_lost_it_heals(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        t.redis.command::<()>("PERSIST", &[&key], &Args::new()).await.unwrap();
        forget_when(&t.redis, claim.request()).await;
        let second = start(&requests, "k").await;
        assert_eq!(second.attempt(), 2, "a claim of unknown age is not believed alive for ever");
        assert!(t.ttl_ms(key.as_str()).await > 0);
        assert_eq!(second.complete("").await.unwrap(), Completion::Stored);
        assert!(t.ttl_ms(key.as_str()).await > 0);
    }

    async fn one_of_many_at_once_is_started(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let other = Idempotency::new(t.another().await);
        for round in 0..20 {
            let tasks: Vec<_> = (0..16).map(|n| {
                let requests = if n % 2 == 0 { requests.clone() } else { other.clone() };
                tokio::spawn(async move { begin(&requests, &format!("k{round}"), BODY).await })
            }).collect();
            let mut running = 0;
            for task in tasks {
                running += u32::from(matches!(task.await.unwrap(), Begin::Started(_)));
            }
            assert_eq!(running, 1);
        }
    }

    /// Measured by the server: all that a record takes besides its outcome, its key included. With long
    /// outcomes, what the server's allocator rounds up comes to it.
    async fn a_record_takes_at_most_260_bytes_besides_its_outcome(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        for length in [None, Some(0), Some(1), Some(20), Some(80), Some(100)] {
            let key = format!("{length:?}");
            let claim = start(&requests, &key).await;
            let record = key_of(&t.redis, claim.request());
            if let Some(length) = length {
                assert_eq!(claim.complete(vec![b'x'; length]).await.unwrap(), Completion::Stored);
            }
            let mut taken = Vec::new();
            for mut node in t.admin_nodes() {
                taken.extend(node.cmd(&["MEMORY", "USAGE", record.as_str()]).ok().and_then(|reply| reply.int()));
            }
            let besides = taken[0] - i64::try_from(length.unwrap_or(0)).unwrap();
            println!("outcome {length:?}: {besides} bytes besides");
            assert!(taken.len() == 1 && besides <= 260, "outcome {length:?}: {besides} bytes besides");
        }
    }

    async fn a_dropped_claim_says_nothing(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let request = claim.request().to_owned();
        let before = stored(&t.redis, &request).await;
        drop(claim);
        assert_eq!(stored(&t.redis, &request).await, before);
    }
}

/// What the server saw of each step, and what it counted (commandstats): alone on it, since both are over all
/// clients.
#[tokio::test(flavor = "multi_thread")]
async fn claim_replay_conflict_and_completion_are_one_round_trip_each() {
    let server = own::standalone(ServerOptions::new()).await;
    let t = TestRedis::at(server.url()).await;
    let requests = Idempotency::new(t.redis.clone());
    // The first of each script brings its source; that is the second round trip of its life.
    end_lease(&t.redis, start(&requests, "warm").await.request()).await;
    let warm = start(&requests, "warm").await;
    let _ = (warm.heartbeat().await.unwrap(), warm.complete("").await.unwrap());
    let _ = start(&requests, "warm2").await.release().await.unwrap();

    let claim = costs("SET 1", &server, || start(&requests, "k")).await;
    let _ = costs("SET 1", &server, || begin(&requests, "k", BODY)).await;
    let _ = costs("SET 1", &server, || begin(&requests, "k", "other")).await;
    let request = claim.request().to_owned();
    forget_when(&t.redis, &request).await;
    let busy = costs("EVALSHA 1, SET 1", &server, || begin(&requests, "k", BODY)).await;
    assert!(matches!(busy, Begin::InProgress { .. }), "the server judges a claim whose age nobody knows");
    let _ = costs("EVALSHA 1", &server, || claim.heartbeat()).await;
    let _ = costs("EVALSHA 1", &server, || claim.complete("paid")).await;
    assert_eq!(replayed(costs("SET 1", &server, || begin(&requests, "k", BODY)).await), b"paid");
    let claim = costs("SET 1", &server, || start(&requests, "k2")).await;
    let _ = costs("EVALSHA 1", &server, || claim.release()).await;
}

/// The answer of a step that sends just these commands.
async fn costs<T, F: Future<Output = T>>(commands: &str, server: &Standalone, step: impl FnOnce() -> F) -> T {
    let (answer, cost) = round_trips(&[server.url()], async || step().await).await.unwrap();
    assert_eq!(cost.sent.to_string().to_uppercase(), commands);
    answer
}

#[tokio::test]
async fn options_and_keys_out_of_range_are_refused_before_anything_is_sent() {
    let Some(t) = TestRedis::standalone().await else { return };
    let refused = |options: Options| {
        matches!(Idempotency::with_options(t.redis.clone(), options), Err(Error::Options(_)))
    };
    assert!(refused(Options::new().lease(Duration::ZERO)));
    assert!(refused(Options::new().lease(Duration::from_nanos(999_999))));
    assert!(refused(Options::new().lease(DAY)));
    assert!(refused(Options::new().lease(Duration::MAX)));
    assert!(refused(Options::new().retention(Duration::MAX)));

    let requests = Idempotency::new(t.redis.clone());
    let ask = async |scope: &Scope, operation: &str, key: &[u8]| {
        requests.begin(scope, operation, key, Fingerprint::of("")).await
    };
    let long = vec![b'k'; 1 << 20];
    for key in [&b""[..], &long[..256], &long[..]] {
        let refused = ask(&Scope::Global, "op", key).await.unwrap_err();
        assert!(matches!(refused, Error::Key(_)) && !refused.is_outage(), "{} bytes", key.len());
    }
    assert!(matches!(ask(&Scope::tenant(""), "op", b"k").await, Err(Error::Scope(_))));
    assert!(matches!(ask(&Scope::principal(""), "op", b"k").await, Err(Error::Scope(_))));
    assert!(matches!(ask(&Scope::Global, "", b"k").await, Err(Error::Scope(_))));
    assert_eq!(t.keys().await, Vec::<String>::new());
    assert!(ask(&Scope::Global, "op", &long[..255]).await.is_ok());
    t.delete_keys().await;
}
