//! One test per sentence of the README's promises.

#![allow(clippy::unwrap_used)]

mod common;

use common::value;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{Error, Options, Revocation, Rotation, SessionId, Sessions, Update};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const QUARTER: Duration = Duration::from_secs(15 * 60);
const HALF_HOUR_MS: i64 = 30 * 60 * 1_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    roles: Vec<String>,
}

fn ann() -> User {
    User { id: 42, name: "ann".into(), roles: vec!["admin".into()] }
}

fn bob() -> User {
    User { id: 7, name: "bób\0\"".into(), roles: Vec::new() }
}

/// Brings the expiry of the one key of the test to `ttl_ms` from now, or to the past.
async fn expire(t: &TestRedis, ttl_ms: i64) {
    let [key] = &t.keys().await[..] else { panic!("one key was expected") };
    let ttl_ms = ttl_ms.to_string();
    let moved = if ttl_ms == "0" { ["PEXPIREAT", key, "1"] } else { ["PEXPIRE", key, &ttl_ms] };
    for mut node in t.admin_nodes() {
        // In a cluster only one node has the key; the others point to it.
        let _ = node.cmd(&moved);
    }
}

on_every_topology! {
    async fn a_session_is_created_loaded_updated_and_revoked(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        assert_eq!(value(&sessions, &id).await, Some(ann()));
        assert_eq!(sessions.update(&id, &bob()).await.unwrap(), Update::Updated);
        assert_eq!(value(&sessions, &id).await, Some(bob()));
        assert_eq!(sessions.revoke(&id).await.unwrap(), Revocation::Revoked);
        assert_eq!(value(&sessions, &id).await, None);
        assert_eq!(sessions.revoke(&id).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn an_update_brings_nothing_back(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        let _ = sessions.revoke(&id).await.unwrap();
        assert_eq!(sessions.update(&id, &bob()).await.unwrap(), Update::Gone);
        let id = sessions.create(&ann()).await.unwrap();
        expire(&t, 0).await;
        assert_eq!(sessions.update(&id, &bob()).await.unwrap(), Update::Gone);
        let never = SessionId::parse(&"0".repeat(96)).unwrap();
        assert_eq!(sessions.update(&never, &bob()).await.unwrap(), Update::Gone);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn a_load_and_an_update_start_the_idle_time_anew(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        let key = t.keys().await.remove(0);
        let fresh = HALF_HOUR_MS - 60_000..=HALF_HOUR_MS;
        assert!(fresh.contains(&t.ttl_ms(&key).await));
        expire(&t, 600_000).await;
        assert_eq!(value(&sessions, &id).await, Some(ann()));
        assert!(fresh.contains(&t.ttl_ms(&key).await), "a load did not renew");
        expire(&t, 600_000).await;
        assert_eq!(sessions.update(&id, &bob()).await.unwrap(), Update::Updated);
        assert!(fresh.contains(&t.ttl_ms(&key).await), "an update did not renew");
    }

    async fn a_load_touches_nothing_until_a_share_of_the_idle_time_has_passed(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        let key = t.keys().await.remove(0);
        let nine_tenths = HALF_HOUR_MS / 10 * 9;
        expire(&t, nine_tenths + 60_000).await;
        assert_eq!(value(&sessions, &id).await, Some(ann()));
        assert!(t.ttl_ms(&key).await <= nine_tenths + 60_000, "it was touched");
        expire(&t, nine_tenths).await;
        assert_eq!(value(&sessions, &id).await, Some(ann()));
        assert!(t.ttl_ms(&key).await > nine_tenths + 60_000, "it was not touched");
        let eager = Sessions::<User>::with_options(t.redis.clone(), Options::new().touch_after_percent(0)).unwrap();
        expire(&t, nine_tenths + 60_000).await;
        assert_eq!(value(&eager, &id).await, Some(ann()));
        assert!(t.ttl_ms(&key).await > HALF_HOUR_MS - 60_000, "each load touches");
    }

    async fn a_session_that_lost_its_ttl_gets_one_again(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        let key = t.keys().await.remove(0);
        for mut node in t.admin_nodes() {
            let _ = node.cmd(&["PERSIST", &key]);
        }
        assert_eq!(t.ttl_ms(&key).await, -1);
        assert_eq!(value(&sessions, &id).await, Some(ann()));
        assert!(t.ttl_ms(&key).await > 0);
    }

    async fn a_session_ends_with_its_idle_time(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        expire(&t, 0).await;
        assert_eq!(value(&sessions, &id).await, None);
    }

    async fn sessions_of_the_same_value_are_apart(t: TestRedis) {
        let sessions = Sessions::new(t.redis.clone());
        let (one, other) = (sessions.create(&ann()).await.unwrap(), sessions.create(&ann()).await.unwrap());
        assert_ne!(one, other);
        let _ = sessions.revoke(&one).await.unwrap();
        assert_eq!(value(&sessions, &other).await, Some(ann()));
    }

    async fn namespaces_do_not_see_each_others_sessions(t: TestRedis) {
        let sessions = Sessions::<User>::new(t.redis.clone());
        let id = sessions.create(&ann()).await.unwrap();
        let name = format!("{}-2", t.redis.namespace().as_str());
        let elsewhere = t.redis.with_namespace(redis_session::Namespace::new(&name).unwrap());
        assert_eq!(value(&Sessions::<User>::new(elsewhere), &id).await, None);
    }
}

/// Counted at the wire: what this client sent.
#[tokio::test]
async fn every_operation_is_one_round_trip() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let sessions = Sessions::new(through.redis.clone());
    // The first of each script brings its source; that is the second round trip of its life.
    let warm = sessions.create(&ann()).await.unwrap();
    let _ = sessions.load(&warm).await.unwrap();
    let _ = sessions.update(&warm, &ann()).await.unwrap();
    let Rotation::Rotated(warm) = sessions.rotate(&warm, &ann()).await.unwrap() else { panic!() };
    let _ = sessions.revoke(&warm).await.unwrap();

    let mut before = proxy.counts().requests;
    let mut one = |operation: &str| {
        let now = proxy.counts().requests;
        assert_eq!(now - before, 1, "{operation}");
        before = now;
    };
    let id = sessions.create(&ann()).await.unwrap();
    one("create");
    let _ = sessions.load(&id).await.unwrap();
    one("load");
    let _ = sessions.update(&id, &bob()).await.unwrap();
    one("update");
    let Rotation::Rotated(id) = sessions.rotate(&id, &ann()).await.unwrap() else { panic!() };
    one("rotate");
    let _ = sessions.revoke(&id).await.unwrap();
    one("revoke");
}

#[tokio::test]
async fn times_out_of_range_are_refused_before_anything_is_sent() {
    let Some(t) = TestRedis::standalone().await else { return };
    for wrong in [Duration::ZERO, Duration::from_nanos(999_999), Duration::MAX] {
        let sessions = Sessions::<User>::with_options(t.redis.clone(), Options::new().idle(wrong));
        assert!(matches!(sessions, Err(Error::Options(_))), "{wrong:?}");
    }
    assert!(Sessions::<User>::with_options(t.redis.clone(), Options::new().idle(QUARTER)).is_ok());
}
