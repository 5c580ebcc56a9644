//! What goes over the wire, seen from the server and from its replica.

mod common;

use common::{all_kinds, each_limiter, many};
use redis_patterns_core::Redis;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_patterns_testkit::servers::resp::{Conn, Reply};
use redis_ratelimit::{Concurrency, ConcurrencyLimiter, Entry, RateLimiter, Reserved};
use std::time::{Duration, Instant, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);

/// A limiter of each kind, and one of all.
fn limiters(redis: &Redis) -> Vec<RateLimiter> {
    let each = each_limiter(redis, 5).map(|(limiter, _)| limiter);
    each.into_iter().chain([all_kinds(redis, 5)]).collect()
}

/// What asks and takes for one subject, admitted and denied.
async fn every_take(redis: &Redis, subject: &str) {
    for limiter in limiters(redis) {
        assert!(limiter.check_n(subject, many(4)).await.unwrap().is_allowed());
        assert!(!limiter.check_n(subject, many(3)).await.unwrap().is_allowed());
        let _ = limiter.peek(subject).await.unwrap();
        let Reserved::Held(held) = limiter.reserve(subject, many(1), MINUTE).await.unwrap() else {
            panic!("there was room")
        };
        // As a process that dies.
        std::mem::forget(held);
        let _ = limiter.penalize(subject, many(1)).await.unwrap();
        let _ = limiter.block_for(subject, MINUTE).await.unwrap();
        let _ = limiter.check(subject).await.unwrap();
        assert!(limiter.reset(subject).await.unwrap());
        let _ = limiter.at_most(subject, many(9)).await.unwrap();
    }
    let slots = Concurrency::new("slots", many(1), MINUTE).unwrap();
    let Entry::Admitted(slot) = ConcurrencyLimiter::new(redis.clone(), slots).enter(subject).await.unwrap()
    else {
        panic!("it is free")
    };
    std::mem::forget(slot);
}

/// What gives back. It names its take by the mark that the server gave it, which may be a time of the server.
async fn every_return(redis: &Redis, subject: &str) {
    for limiter in limiters(redis) {
        let _ = limiter.reset(subject).await.unwrap();
        let mut decision = limiter.check_n(subject, many(4)).await.unwrap();
        assert_eq!(limiter.refund(subject, &mut decision, many(2)).await.unwrap(), 2);
        let Reserved::Held(mut held) = limiter.reserve(subject, many(2), MINUTE).await.unwrap() else {
            panic!("there was room")
        };
        let _ = held.commit(1).await.unwrap();
    }
}

fn logs_all_commands(admin: &mut Conn) {
    admin.cmd(&["CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "10000"]).unwrap();
    admin.cmd(&["SLOWLOG", "RESET"]).unwrap();
}

/// Each command that ran, those of scripts too, word by word.
fn commands(admin: &mut Conn) -> Vec<Vec<String>> {
    let log = admin.cmd(&["SLOWLOG", "GET", "10000"]).unwrap();
    let words = |entry: &Reply| entry.items()[3].items().iter().map(|word| word.text()).collect();
    log.items().iter().map(words).collect()
}

/// A client's clock that is wrong decides nothing, since none is sent.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_carries_a_time_of_the_client() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let mut admin = server.node().conn().unwrap();
    logs_all_commands(&mut admin);
    every_take(&redis, "ann").await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let calls: Vec<_> =
        commands(&mut admin).into_iter().filter(|words| words[0].starts_with("EVAL")).collect();
    assert!(calls.len() > 60, "only {} calls were seen", calls.len());
    for call in calls {
        for number in call.iter().filter_map(|word| word.parse::<f64>().ok()) {
            for unit in [1.0, 1e3, 1e6] {
                assert!((number / unit - now).abs() > 86_400.0, "{number} is a time: {call:?}");
            }
        }
    }
}

/// One index of all subjects is one hot key, on one node of a cluster, and never ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_touches_the_keys_of_its_subject_alone() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let mut admin = server.node().conn().unwrap();
    logs_all_commands(&mut admin);
    every_take(&redis, "ann").await;
    every_return(&redis, "ann").await;
    let prefix = format!("{}:", redis.namespace().as_str());
    let mut touched = 0;
    for command in commands(&mut admin) {
        for key in command.iter().filter(|word| word.starts_with(&prefix)) {
            assert!(key.contains(":{ann}:"), "{key} in {command:?}");
            touched += 1;
        }
    }
    assert!(touched > 200, "only {touched} keys were seen");
    let keys = admin.cmd(&["KEYS", "*"]).unwrap();
    assert!(keys.items().iter().all(|key| key.text().contains(":{ann}:")), "{keys:?}");
}

/// Scripts replicate their effects: a replica that ran them again would use its own clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_holds_the_very_same_state() {
    let servers = own::replicated(Options::new()).await;
    let t = TestRedis::at(&servers.url()).await;
    every_take(&t.redis, "ann").await;
    every_return(&t.redis, "ann").await;
    let keys = t.keys().await;
    assert!(keys.len() >= 7, "{keys:?}");
    let state = |conn: &mut Conn, key: &str| {
        let dump = conn.cmd(&["DUMP", key]).unwrap();
        (format!("{dump:?}"), conn.cmd(&["PEXPIRETIME", key]).unwrap().int())
    };
    let mut primary = servers.primary().unwrap().conn().unwrap();
    let mut replica = servers.replica().unwrap().conn().unwrap();
    for key in &keys {
        let stored = state(&mut primary, key);
        let until = Instant::now() + MINUTE / 2;
        while state(&mut replica, key) != stored {
            assert!(Instant::now() < until, "{key} is another on the replica");
            tokio::task::yield_now().await;
        }
    }
}
