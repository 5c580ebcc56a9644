//! A user with 100,000 sessions: they end in one round trip, and nothing is searched for.

#![allow(clippy::unwrap_used)]

mod common;

use common::{log_in, value};
use redis_patterns_core::{Args, Key, Script, Tag};
use redis_patterns_testkit::faults::stats::{RoundTrips, round_trips};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options as ServerOptions;
use redis_session::{Extension, Others, Revocation, Rotation, Sessions, Update};

const MANY: i64 = 100_000;
const BY_HAND: usize = 200;

/// Copies one session so often, under ids that nobody has.
static FILL: Script = Script::new(
    "test/fill",
    "#!lua\n-- fill: copy a session.\n-- KEYS[1] session\n-- KEYS[2] index\n-- ARGV[1] how many\n\
     local value, ends = redis.call('GET', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]\n\
     local prefix = string.sub(KEYS[1], 1, -65)\n\
     for number = 1, ARGV[1] do\n\
       local member = string.format('%064d', number)\n\
       redis.call('SET', prefix .. member, value, 'PX', 600000)\n\
       redis.call('ZADD', KEYS[2], ends, member)\n\
     end\n\
     return redis.call('ZCARD', KEYS[2])",
);

async fn keys(t: &TestRedis) -> (Key, Key) {
    let names = t.keys().await;
    let session = names.iter().find(|name| !name.ends_with(":index")).unwrap();
    let (place, part) = session.rsplit_once("}:").unwrap();
    let tag = Tag::of(place.rsplit('{').next().unwrap());
    (t.redis.namespace().part("sess", &tag, part), t.redis.namespace().part("sess", &tag, "index"))
}

fn sent_once(what: &str, trips: &RoundTrips) {
    assert_eq!(trips.sent.total(), 1, "{what} sent {}", trips.sent);
    for search in ["scan", "keys", "zscan", "hscan", "sscan"] {
        assert_eq!(trips.executed.of(search), 0, "{what} executed {}", trips.executed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_sessions_end_in_one_round_trip() {
    let server = own::standalone(ServerOptions::new()).await;
    let (t, url) = (TestRedis::at(server.url()).await, server.url().to_owned());
    let sessions = Sessions::<u64>::new(t.redis.clone());
    let elsewhere = Sessions::<u64>::new(t.another().await);
    let mut ids = vec![log_in(&sessions, "42", &1).await];
    let (session, index) = keys(&t).await;
    let there: i64 = t.redis.run(&FILL, &[&session, &index], &Args::new().int(MANY)).await.unwrap();
    assert_eq!(there, MANY + 1);
    for number in 1..BY_HAND {
        ids.push(log_in(&sessions, "42", &(number as u64)).await);
    }
    let other = log_in(&sessions, "43", &7).await;
    for id in &ids {
        assert!(value(&elsewhere, id).await.is_some());
    }
    let (ended, trips) =
        round_trips(&[&url], async || sessions.revoke_all("42").await.unwrap()).await.unwrap();
    assert_eq!(ended, Revocation::Revoked);
    sent_once("revoke_all", &trips);
    assert_eq!(trips.executed.of("unlink"), 1);
    for id in &ids {
        assert_eq!(value(&elsewhere, id).await, None);
    }
    assert_eq!(value(&elsewhere, &other).await, Some(7));
    assert_eq!(sessions.list("42").await.unwrap(), []);
    // The same but for the one that asks.
    let own = log_in(&sessions, "42", &1).await;
    let tag = Tag::of(index.as_str().split(['{', '}']).nth(1).unwrap());
    let session = t.redis.namespace().part("sess", &tag, &own.reference().to_string());
    t.redis.run::<i64>(&FILL, &[&session, &index], &Args::new().int(MANY)).await.unwrap();
    let (others, trips) =
        round_trips(&[&url], async || sessions.revoke_others(&own).await.unwrap()).await.unwrap();
    assert!(matches!(others, Others::Revoked(100_000)), "{others:?}");
    assert_eq!(trips.sent.total(), 2, "the script's source follows once: {}", trips.sent);
    assert_eq!(value(&elsewhere, &own).await, Some(1));
    assert_eq!(sessions.list("42").await.unwrap().len(), 1);
}

/// What the servers counted, the commands within scripts included.
#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_one_round_trip_and_a_fresh_load_writes_nothing() {
    let server = own::standalone(ServerOptions::new()).await;
    let (t, url) = (TestRedis::at(server.url()).await, server.url().to_owned());
    let sessions = Sessions::<u64>::new(t.redis.clone());
    // The first of each script brings its source.
    let warm = log_in(&sessions, "42", &1).await;
    let version = sessions.load(&warm).await.unwrap().unwrap().version;
    let _ = sessions.update_if(&warm, &2, version).await.unwrap();
    let Rotation::Rotated(id) = sessions.rotate(&warm, &3).await.unwrap() else { panic!() };
    let _ = sessions.revoke_others(&id).await.unwrap();
    let _ = sessions.revoke(&warm).await.unwrap();

    let (found, trips) = round_trips(&[&url], async || value(&sessions, &id).await).await.unwrap();
    sent_once("load", &trips);
    assert_eq!(
        (found, trips.executed.to_string()),
        (Some(3), "evalsha 1, get 1, pttl 1, zscore 1".to_owned())
    );
    let (done, trips) = round_trips(&[&url], async || sessions.update(&id, &4).await.unwrap()).await.unwrap();
    sent_once("update", &trips);
    assert_eq!(done, Update::Updated);
    let (done, trips) = round_trips(&[&url], async || sessions.extend(&id).await.unwrap()).await.unwrap();
    sent_once("extend", &trips);
    assert_eq!(done, Extension::Extended);
    let (_, trips) = round_trips(&[&url], async || log_in(&sessions, "42", &5).await).await.unwrap();
    sent_once("log_in", &trips);
    let (_, trips) = round_trips(&[&url], async || sessions.revoke_others(&id).await.unwrap()).await.unwrap();
    sent_once("revoke_others", &trips);
    let (_, trips) = round_trips(&[&url], async || sessions.revoke(&id).await.unwrap()).await.unwrap();
    sent_once("revoke", &trips);
}
