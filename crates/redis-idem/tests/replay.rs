//! Every script run twice with the same arguments: what a lost reply and a second send amount to.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DAY, LEASE, mark, packed};
use redis_patterns_core::{Args, Key, Redis, Script, Tag, Value};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static COMPLETE: Script = Script::new("complete", include_str!("../src/scripts/complete.lua"));
static HEARTBEAT: Script = Script::new("heartbeat", include_str!("../src/scripts/heartbeat.lua"));
static RESOLVE: Script = Script::new("resolve", include_str!("../src/scripts/resolve.lua"));
static RELEASE: Script = Script::new("release", include_str!("../src/scripts/release.lua"));
static TAKEOVER: Script = Script::new("takeover", include_str!("../src/scripts/takeover.lua"));
const DAY_MS: i64 = 24 * 3_600 * 1_000;

fn lease_over_ms() -> i64 {
    i64::try_from((DAY - LEASE).as_millis()).unwrap()
}

async fn plant(redis: &Redis, key: &Key, record: &[u8], ttl_ms: i64) {
    redis.command::<()>("SET", &[key], &Args::new().bytes(record).word("PX").int(ttl_ms)).await.unwrap();
}

async fn dump(redis: &Redis, key: &Key) -> (Option<bytes::Bytes>, i64) {
    let bytes = redis.command("GET", &[key], &Args::new()).await.unwrap();
    (bytes, redis.command("PEXPIRETIME", &[key], &Args::new()).await.unwrap())
}

async fn run(redis: &Redis, script: &Script, key: &Key, args: &Args) -> Value {
    redis.run(script, &[key], args).await.unwrap()
}

/// The code alone, or the code and its detail.
fn reply(code: i64, detail: Option<Value>) -> Value {
    detail.map_or(Value::Int(code), |detail| Value::Array(vec![Value::Int(code), detail]))
}

on_every_topology! {
    async fn complete_stores_once(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        plant(&t.redis, &key, &packed(b'P', 1, 1, b""), 1_000_000).await;
        let args = Args::new().bytes(packed(b'D', 1, 1, b"paid")).int(DAY_MS);
        assert_eq!(run(&t.redis, &COMPLETE, &key, &args).await, reply(1, None));
        let after_first = dump(&t.redis, &key).await;
        assert_eq!(after_first.0.as_deref(), Some(&packed(b'D', 1, 1, b"paid")[..]));
        assert_eq!(run(&t.redis, &COMPLETE, &key, &args).await, reply(2, None));
        assert_eq!(dump(&t.redis, &key).await, after_first);
    }

    async fn complete_touches_nothing_of_another_owner(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        let args = Args::new().bytes(packed(b'D', 1, 1, b"late")).int(DAY_MS);
        for there in [packed(b'P', 2, 2, b""), packed(b'D', 2, 2, b"paid"), b"short".to_vec()] {
            plant(&t.redis, &key, &there, 1_000_000).await;
            let before = dump(&t.redis, &key).await;
            assert_eq!(run(&t.redis, &COMPLETE, &key, &args).await, reply(0, None));
            assert_eq!(dump(&t.redis, &key).await, before);
        }
        t.redis.command::<()>("DEL", &[&key], &Args::new()).await.unwrap();
        assert_eq!(run(&t.redis, &COMPLETE, &key, &args).await, reply(0, None));
        assert_eq!(dump(&t.redis, &key).await, (None, -2), "a record that is gone is not made anew");
    }

    async fn a_doubt_is_stored_once_and_a_late_outcome_settles_it(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        plant(&t.redis, &key, &packed(b'P', 1, 1, b""), 1_000_000).await;
        let doubt = Args::new().bytes(packed(b'I', 1, 1, b"")).int(DAY_MS);
        assert_eq!(run(&t.redis, &COMPLETE, &key, &doubt).await, reply(1, None));
        let after_first = dump(&t.redis, &key).await;
        assert_eq!(run(&t.redis, &COMPLETE, &key, &doubt).await, reply(2, None));
        assert_eq!(dump(&t.redis, &key).await, after_first);
        let done = Args::new().bytes(packed(b'D', 1, 1, b"paid")).int(DAY_MS);
        assert_eq!(run(&t.redis, &COMPLETE, &key, &done).await, reply(1, None));
        assert_eq!(run(&t.redis, &COMPLETE, &key, &doubt).await, reply(2, None), "an outcome is final");
        assert_eq!(dump(&t.redis, &key).await.0.as_deref(), Some(&packed(b'D', 1, 1, b"paid")[..]));
    }

    async fn a_heartbeat_renews_its_own_claim_and_no_other(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        let args = Args::new().bytes(mark(b'P', 1)).int(DAY_MS);
        assert_eq!(run(&t.redis, &HEARTBEAT, &key, &args).await, reply(0, None));
        assert_eq!(dump(&t.redis, &key).await, (None, -2));
        plant(&t.redis, &key, &packed(b'P', 1, 1, b""), 1_000_000).await;
        for _ in 0..2 {
            assert_eq!(run(&t.redis, &HEARTBEAT, &key, &args).await, reply(1, None));
            assert_eq!(dump(&t.redis, &key).await.0.as_deref(), Some(&packed(b'P', 1, 1, b"")[..]));
            assert!(t.ttl_ms(key.as_str()).await > DAY_MS - 60_000);
        }
        for there in [packed(b'P', 2, 2, b""), packed(b'D', 1, 1, b"x"), packed(b'I', 1, 1, b"")] {
            plant(&t.redis, &key, &there, 1_000_000).await;
            let before = dump(&t.redis, &key).await;
            assert_eq!(run(&t.redis, &HEARTBEAT, &key, &args).await, reply(0, None));
            assert_eq!(dump(&t.redis, &key).await, before);
        }
    }

    async fn resolve_replaces_what_was_seen_once(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        let args = Args::new().bytes(mark(b'I', 1)).bytes(packed(b'D', 1, 1, b"found")).int(DAY_MS);
        assert_eq!(run(&t.redis, &RESOLVE, &key, &args).await, reply(0, None));
        plant(&t.redis, &key, &packed(b'I', 1, 1, b""), 1_000_000).await;
        assert_eq!(run(&t.redis, &RESOLVE, &key, &args).await, reply(1, None));
        let after_first = dump(&t.redis, &key).await;
        assert_eq!(run(&t.redis, &RESOLVE, &key, &args).await, reply(0, None));
        assert_eq!(dump(&t.redis, &key).await, after_first);
    }

    async fn release_forgets_once(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        plant(&t.redis, &key, &packed(b'P', 1, 1, b""), 1_000_000).await;
        let args = Args::new().bytes(mark(b'P', 1)).bytes(b"").int(lease_over_ms());
        assert_eq!(run(&t.redis, &RELEASE, &key, &args).await, reply(1, None));
        assert_eq!(run(&t.redis, &RELEASE, &key, &args).await, reply(2, None));
        assert_eq!(dump(&t.redis, &key).await, (None, -2));
    }

    async fn release_touches_nothing_of_another_owner_and_no_outcome(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        for there in [packed(b'P', 2, 2, b""), packed(b'D', 2, 2, b"x"), packed(b'D', 1, 1, b"x")] {
            plant(&t.redis, &key, &there, 1_000_000).await;
            let before = dump(&t.redis, &key).await;
            for left in [Vec::new(), packed(b'P', 1, 1, b"")] {
                let args = Args::new().bytes(mark(b'P', 1)).bytes(left).int(lease_over_ms());
                assert_eq!(run(&t.redis, &RELEASE, &key, &args).await, reply(0, None));
            }
            assert_eq!(dump(&t.redis, &key).await, before);
        }
    }

    async fn release_after_an_earlier_attempt_ends_the_lease_and_keeps_the_record(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        plant(&t.redis, &key, &packed(b'P', 1, 2, b""), DAY_MS).await;
        let args = Args::new().bytes(mark(b'P', 1)).bytes(packed(b'P', 1, 2, b"")).int(lease_over_ms());
        for _ in 0..2 {
            assert_eq!(run(&t.redis, &RELEASE, &key, &args).await, reply(1, None));
            assert_eq!(dump(&t.redis, &key).await.0.as_deref(), Some(&packed(b'P', 1, 2, b"")[..]));
            assert!(t.ttl_ms(key.as_str()).await <= lease_over_ms());
        }
    }

    async fn takeover_takes_once(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        plant(&t.redis, &key, &packed(b'P', 1, 1, b""), lease_over_ms()).await;
        let claim = packed(b'P', 2, 2, b"");
        let args = Args::new().bytes(mark(b'P', 1)).int(lease_over_ms()).bytes(&claim).int(DAY_MS);
        assert_eq!(run(&t.redis, &TAKEOVER, &key, &args).await, reply(1, Some(Value::Int(0))));
        let after_first = dump(&t.redis, &key).await;
        assert_eq!(after_first.0.as_deref(), Some(&claim[..]));
        let own = Value::Bytes(claim.into());
        assert_eq!(run(&t.redis, &TAKEOVER, &key, &args).await, reply(3, Some(own)));
        assert_eq!(dump(&t.redis, &key).await, after_first);
    }

    async fn takeover_writes_nothing_unless_what_was_seen_is_dead(t: TestRedis) {
        let key = t.redis.namespace().key("idem", &Tag::of("r"));
        let args = Args::new().bytes(mark(b'P', 1)).int(lease_over_ms()).bytes(packed(b'P', 2, 2, b"")).int(DAY_MS);
        assert_eq!(run(&t.redis, &TAKEOVER, &key, &args).await, reply(4, Some(Value::Int(0))));
        assert_eq!(dump(&t.redis, &key).await, (None, -2));
        // Alive by ten seconds.
        plant(&t.redis, &key, &packed(b'P', 1, 1, b""), lease_over_ms() + 10_000).await;
        let before = dump(&t.redis, &key).await;
        let Value::Array(items) = run(&t.redis, &TAKEOVER, &key, &args).await else { panic!() };
        assert_eq!(items[0], Value::Int(2));
        assert!(matches!(items[1], Value::Int(1..=10_000)), "{items:?}");
        assert_eq!(dump(&t.redis, &key).await, before);
        // Completed, or taken by another, after it was seen; dead by its TTL all the same.
        for there in [packed(b'D', 1, 1, b"paid"), packed(b'P', 3, 2, b"")] {
            plant(&t.redis, &key, &there, 1_000).await;
            let before = dump(&t.redis, &key).await;
            let found = Value::Bytes(there.into());
            assert_eq!(run(&t.redis, &TAKEOVER, &key, &args).await, reply(3, Some(found)));
            assert_eq!(dump(&t.redis, &key).await, before);
        }
    }
}
