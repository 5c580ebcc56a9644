//! Keys, scopes and stored bytes that try to meet, break out or be misread.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, begin, key_of, packed, start, stored};
use redis_idem::{Begin, Completion, Error, Fingerprint, Idempotency, Scope};
use redis_patterns_core::{Args, ErrorKind};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

on_every_topology! {
    async fn every_hostile_key_has_a_record_of_its_own(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let keys: Vec<_> = hostile::ids().into_iter().filter(|id| (1..=255).contains(&id.len())).collect();
        for key in &keys {
            let begin = requests.begin(&Scope::Global, "op", key, Fingerprint::of(key)).await.unwrap();
            let Begin::Started(claim) = begin else { panic!("a key met the record of another") };
            assert_eq!(claim.complete(key.clone()).await.unwrap(), Completion::Stored);
        }
        for key in &keys {
            let begin = requests.begin(&Scope::Global, "op", key, Fingerprint::of(key)).await.unwrap();
            let Begin::Replay(outcome) = begin else { panic!("a key lost its record") };
            assert_eq!(outcome, key);
        }
        assert_eq!(t.keys().await.len(), keys.len());
    }

    async fn every_hostile_scope_and_operation_is_a_world_of_its_own(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let mut worlds = 0;
        for id in hostile::ids() {
            let mut scopes = vec![Scope::tenant(&id), Scope::principal(&id)];
            scopes.retain(|_| !id.is_empty());
            for scope in scopes {
                let begin = requests.begin(&scope, "op", "k", Fingerprint::of("")).await.unwrap();
                assert!(matches!(begin, Begin::Started(_)), "scopes met");
                worlds += 1;
            }
            let Ok(operation) = String::from_utf8(id) else { continue };
            if (1..=1_024).contains(&operation.len()) {
                let begin = requests.begin(&Scope::Global, &operation, "k", Fingerprint::of("")).await.unwrap();
                assert!(matches!(begin, Begin::Started(_)), "operations met");
                worlds += 1;
            }
        }
        assert_eq!(t.keys().await.len(), worlds);
    }

    async fn fields_do_not_run_into_each_other(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let splits = [("tenant", "a", "bc", "d"), ("tenant", "ab", "c", "d"), ("tenant", "a", "b", "cd"), ("principal", "a", "b", "cd")];
        for (kind, scope, operation, key) in splits {
            let scope = if kind == "tenant" { Scope::tenant(scope) } else { Scope::principal(scope) };
            let begin = requests.begin(&scope, operation, key, Fingerprint::of("")).await.unwrap();
            assert!(matches!(begin, Begin::Started(_)));
        }
        assert_eq!(t.keys().await.len(), splits.len());
    }

    async fn nothing_of_scope_operation_key_or_body_is_readable_in_redis(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let scope = Scope::tenant("SECRET1");
        let begin = requests.begin(&scope, "SECRET2", "SECRET3", Fingerprint::of("SECRET4"));
        let Begin::Started(claim) = begin.await.unwrap() else { panic!() };
        let (record, _) = stored(&t.redis, claim.request()).await;
        let seen = format!("{:?} {} {claim:?}", t.keys().await, String::from_utf8_lossy(&record.unwrap()));
        assert!(!seen.contains("SECRET"), "{seen}");
        let options = format!("{requests:?} {:?} {:?}", Scope::principal("SECRET"), Fingerprint::of("SECRET"));
        assert!(!options.contains("SECRET"), "{options}");
    }

    async fn a_record_that_cannot_be_read_is_an_error_and_nothing_runs(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        let mut newer = packed(b'P', 1, 1, b"");
        newer[1] = 3;
        let cut = packed(b'P', 1, 1, b"")[..40].to_vec();
        for there in [b"".to_vec(), b"DONE".to_vec(), vec![0; 200], newer, cut, packed(b'X', 1, 1, b"")] {
            let args = Args::new().bytes(&there).word("PX").int(60_000);
            t.redis.command::<()>("SET", &[&key], &args).await.unwrap();
            let before = stored(&t.redis, claim.request()).await;
            let asked = requests.begin(&Scope::tenant("acme"), "POST /pay", "k", Fingerprint::of(BODY)).await;
            let Err(Error::Redis(error)) = asked else { panic!("{there:?} was read as a record: {asked:?}") };
            assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
            assert!(!Error::Redis(error).is_outage());
            assert_eq!(stored(&t.redis, claim.request()).await, before, "it was written over");
        }
        assert_eq!(claim.complete("late").await.unwrap(), Completion::Lost);
    }

    async fn a_key_of_another_type_is_an_error_and_stays(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        t.redis.command::<()>("DEL", &[&key], &Args::new()).await.unwrap();
        t.redis.command::<()>("RPUSH", &[&key], &Args::new().bytes("x")).await.unwrap();
        let asked = requests.begin(&Scope::tenant("acme"), "POST /pay", "k", Fingerprint::of(BODY)).await;
        assert!(asked.is_err());
        assert!(claim.complete("late").await.is_err());
        assert_eq!(t.redis.command::<u32>("LLEN", &[&key], &Args::new()).await.unwrap(), 1);
    }

    async fn a_lease_and_retention_of_any_size_in_a_record_break_nothing(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        let (own, _) = stored(&t.redis, claim.request()).await;
        for (lease, retention) in [(0, 0), (u64::MAX, u64::MAX), (u64::MAX, 0), (0, u64::MAX)] {
            let mut record = own.clone().unwrap();
            record[4] ^= 1;
            record[56..62].copy_from_slice(&u64::to_be_bytes(lease)[2..]);
            record[62..68].copy_from_slice(&u64::to_be_bytes(retention)[2..]);
            let args = Args::new().bytes(&record).word("PX").int(60_000);
            t.redis.command::<()>("SET", &[&key], &args).await.unwrap();
            let begin = begin(&requests, "k", BODY).await;
            assert!(matches!(begin, Begin::Started(_) | Begin::InProgress { .. }), "{begin:?}");
        }
    }
}
