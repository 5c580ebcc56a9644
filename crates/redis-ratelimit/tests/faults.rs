//! A forgotten script, a lost reply, a frozen server: what a check costs and says then.

mod common;

use common::{count, hourly, key};
use redis_patterns_core::{BootInstant, Executed};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::faults::{Match, Proxy, redis as break_redis};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::Error;
use std::time::Duration;

#[tokio::test]
async fn scripts_forgotten_in_the_middle_cost_no_count() {
    let Some(t) = TestRedis::standalone().await else { return };
    let limiter = hourly(&t.redis, 100);
    for number in 1..=60 {
        if number % 20 == 0 {
            break_redis::script_flush(&[t.url()]).await.unwrap();
        }
        assert!(limiter.check("ann").await.unwrap().is_allowed());
        assert_eq!(count(&t.redis, &key(&t.redis, "ann")).await, Some(number));
    }
    t.delete_keys().await;
}

#[tokio::test]
async fn a_check_whose_reply_is_lost_says_maybe_and_counts_at_most_once() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let redis = through.redis.with_namespace(beside.redis.namespace().clone());
    let limiter = hourly(&redis, 10);
    assert!(limiter.check("ann").await.unwrap().is_allowed());
    let key = key(&beside.redis, "ann");
    for lost in 1..=3 {
        let before = count(&beside.redis, &key).await.unwrap();
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        let Err(Error::Redis(error)) = limiter.check("ann").await else { panic!("a reply came") };
        assert_eq!(proxy.counts().lost_replies, lost, "the fault did not happen");
        assert_eq!(error.executed(), Executed::Maybe, "{error}");
        assert!(error.is_outage(), "{error}");
        // Whether it counted is unknown to the caller; that it counted once at most is certain.
        let added = count(&beside.redis, &key).await.unwrap() - before;
        assert_eq!(added, 1, "the script ran once, and nothing sent it again");
    }
    proxy.cut_inside_request(1, Match::Command("EVALSHA"));
    let before = count(&beside.redis, &key).await.unwrap();
    let broken = limiter.check("ann").await;
    assert_eq!(proxy.counts().cut_requests, 1, "the fault did not happen");
    let added = count(&beside.redis, &key).await.unwrap() - before;
    assert_eq!(added, u64::from(broken.is_ok()), "a request that never arrived counted");
    beside.delete_keys().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_one_round_trip() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let limiter = hourly(&t.redis, 3);
    let _ = limiter.check("warm").await.unwrap();
    for allowed in [true, true, true, false, false] {
        let (decision, cost) =
            round_trips(&[server.url()], async || limiter.check("ann").await).await.unwrap();
        assert_eq!(decision.unwrap().is_allowed(), allowed);
        assert_eq!((cost.sent.total(), cost.sent.of("evalsha")), (1, 1), "sent: {}", cost.sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_costs_the_deadline_and_is_an_outage() {
    const DEADLINE: Duration = Duration::from_millis(200);
    // What a loaded machine may add to a timer.
    const SLACK: Duration = Duration::from_millis(800);
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let patient = hourly(&t.redis, 10);
    let hasty = hourly(&t.redis.with_deadline(DEADLINE), 10);
    assert!(hasty.check("ann").await.unwrap().is_allowed());
    server.node().stop().unwrap();
    let sent = BootInstant::now();
    let answer = hasty.check("ann").await;
    let waited = sent.elapsed();
    server.node().cont().unwrap();
    let Err(error) = answer else { panic!("a frozen server answered") };
    assert!(error.is_outage(), "{error}");
    assert!(waited >= DEADLINE && waited < DEADLINE + SLACK, "waited {waited:?}");
    // What was sent into the freeze runs afterwards: at most once.
    assert!(patient.check("ann").await.unwrap().is_allowed());
    let counted = count(&t.redis, &key(&t.redis, "ann")).await.unwrap();
    assert!((2..=3).contains(&counted), "{counted}");
}
