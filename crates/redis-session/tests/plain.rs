//! Sessions by plain commands alone.

#![allow(clippy::unwrap_used)]

use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options as ServerOptions;
use redis_session::{Error, PlainSessions, Revocation, Sessions, Update};
use std::time::Duration;

const HALF_HOUR: Duration = Duration::from_secs(1_800);

on_every_topology! {
    async fn a_plain_session_lives_and_stays_dead(t: TestRedis) {
        let sessions = PlainSessions::<u64>::new(t.redis.clone(), HALF_HOUR).unwrap();
        let id = sessions.create(&1).await.unwrap();
        assert_eq!(sessions.load(&id).await.unwrap(), Some(1));
        assert_eq!(sessions.update(&id, &2).await.unwrap(), Update::Updated);
        assert_eq!(sessions.load(&id).await.unwrap(), Some(2));
        let [key] = &t.keys().await[..] else { panic!() };
        assert!((1_700_000..=1_800_000).contains(&t.ttl_ms(key).await));
        assert_eq!(sessions.revoke(&id).await.unwrap(), Revocation::Revoked);
        assert_eq!(sessions.update(&id, &3).await.unwrap(), Update::Gone);
        assert_eq!(sessions.load(&id).await.unwrap(), None);
        assert_eq!(sessions.revoke(&id).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn a_plain_session_is_none_of_the_others(t: TestRedis) {
        let plain = PlainSessions::<u64>::new(t.redis.clone(), HALF_HOUR).unwrap();
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = plain.create(&1).await.unwrap();
        assert!(sessions.load(&id).await.unwrap().is_none());
        assert_eq!(plain.load(&id).await.unwrap(), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_one_plain_command() {
    let server = own::standalone(ServerOptions::new()).await;
    let (t, url) = (TestRedis::at(server.url()).await, server.url().to_owned());
    assert!(matches!(PlainSessions::<u64>::new(t.redis.clone(), Duration::ZERO), Err(Error::Options(_))));
    let sessions = PlainSessions::<u64>::new(t.redis.clone(), HALF_HOUR).unwrap();
    let (id, trips) = round_trips(&[&url], async || sessions.create(&1).await.unwrap()).await.unwrap();
    assert_eq!(trips.executed.to_string(), "set 1");
    let (_, trips) = round_trips(&[&url], async || sessions.load(&id).await.unwrap()).await.unwrap();
    assert_eq!(trips.executed.to_string(), "getex 1");
    let (_, trips) = round_trips(&[&url], async || sessions.update(&id, &2).await.unwrap()).await.unwrap();
    assert_eq!(trips.executed.to_string(), "set 1");
    let (_, trips) = round_trips(&[&url], async || sessions.revoke(&id).await.unwrap()).await.unwrap();
    assert_eq!(trips.executed.to_string(), "del 1");
}
