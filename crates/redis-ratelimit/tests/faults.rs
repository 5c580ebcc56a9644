//! A forgotten script, a lost reply, a frozen server: what a check costs and says then.

mod common;

use common::{count, each_limiter, hourly, key, many};
use redis_patterns_core::{BootInstant, Executed};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::faults::{Match, Proxy, redis as break_redis};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{Decision, Error, RateLimiter};
use std::future::Future;
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
async fn every_operation_is_one_round_trip_and_an_impossible_cost_is_none() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let servers = [server.url()];
    for (limiter, kind) in each_limiter(&t.redis, 4) {
        let _ = limiter.check("warm").await.unwrap();
        let sent = async |work: &dyn Fn() -> BoxFuture| {
            let (allowed, cost) = round_trips(&servers, async || work().await).await.unwrap();
            (allowed, cost.sent.total(), cost.sent.of("evalsha"))
        };
        let (one, two, five) = (many(1), many(2), many(5));
        let (l, k) = (&limiter, &kind);
        let check_n =
            |cost| move || boxed(l.clone(), k.clone(), move |l, k| async move { l.check_n(k, cost).await });
        assert_eq!(sent(&check_n(five)).await, (None, 0, 0), "{kind}: an impossible cost was sent");
        for (cost, allowed) in [(two, true), (one, true), (two, false), (one, true), (one, false)] {
            assert_eq!(sent(&check_n(cost)).await, (Some(allowed), 1, 1), "{kind}: check_n({cost})");
        }
        let peek = || boxed(l.clone(), k.clone(), |l, k| async move { l.peek(k).await });
        assert_eq!(sent(&peek).await, (Some(false), 1, 1), "{kind}: peek");
        let at_most = || boxed(l.clone(), k.clone(), move |l, k| async move { l.at_most(k, five).await });
        assert_eq!(sent(&at_most).await, (Some(false), 1, 1), "{kind}: at_most");
        let mut decision = limiter.peek(&kind).await.unwrap();
        let (back, cost) =
            round_trips(&servers, async || limiter.refund(&kind, &mut decision, one).await).await.unwrap();
        assert_eq!((back.unwrap(), cost.sent.total()), (0, 0), "{kind}: a refund of nothing");
        let other = format!("{kind}-other");
        let mut decision = limiter.check(&other).await.unwrap();
        let warm = limiter.refund(&other, &mut decision, one).await.unwrap();
        let mut decision = limiter.check(&other).await.unwrap();
        let (back, cost) =
            round_trips(&servers, async || limiter.refund(&other, &mut decision, one).await).await.unwrap();
        assert_eq!((warm, back.unwrap()), (1, 1), "{kind}: refund");
        assert_eq!((cost.sent.total(), cost.sent.of("evalsha")), (1, 1), "{kind}: refund");
        let (gone, cost) = round_trips(&servers, async || limiter.reset(&kind).await).await.unwrap();
        assert!(gone.unwrap());
        assert_eq!((cost.sent.total(), cost.sent.of("unlink")), (1, 1), "{kind}: reset");
    }
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = Option<bool>>>>;

/// An operation as a value: whether it was allowed, `None` for an error.
fn boxed<F: Future<Output = Result<Decision, Error>> + 'static>(
    limiter: RateLimiter,
    subject: String,
    work: impl FnOnce(RateLimiter, String) -> F,
) -> BoxFuture {
    let work = work(limiter, subject);
    Box::pin(async { work.await.ok().map(|decision| decision.is_allowed()) })
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

#[tokio::test]
async fn a_lost_reply_charges_once_at_most_whatever_the_policy() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let redis = through.redis.with_namespace(beside.redis.namespace().clone());
    for ((broken, kind), (sound, _)) in
        each_limiter(&redis, 10).into_iter().zip(each_limiter(&beside.redis, 10))
    {
        assert_eq!(broken.check(&kind).await.unwrap().remaining, 9);
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        let before = proxy.counts().lost_replies;
        let Err(Error::Redis(error)) = broken.check_n(&kind, many(3)).await else {
            panic!("{kind}: a reply came")
        };
        assert_eq!(proxy.counts().lost_replies, before + 1, "the fault did not happen");
        assert_eq!(error.executed(), Executed::Maybe, "{kind}: {error}");
        assert_eq!(sound.peek(&kind).await.unwrap().remaining, 6, "{kind}: charged other than once");
    }
    beside.delete_keys().await;
}
