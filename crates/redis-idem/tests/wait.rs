//! Callers who wait for the outcome instead of coming again.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, LEASE, begin, replayed, start, started, stored, until_listening};
use redis_idem::{Begin, Completion, Fingerprint, Idempotency, Options, Release, Scope};
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A call that waits for up to a minute, as a task.
fn waiter(requests: &Idempotency) -> JoinHandle<Begin> {
    let requests = requests.clone();
    tokio::spawn(async move { wait(&requests, Duration::from_secs(60)).await })
}

async fn wait(requests: &Idempotency, patience: Duration) -> Begin {
    let (scope, fingerprint) = (Scope::tenant("acme"), Fingerprint::of(BODY));
    requests.begin_or_wait(&scope, "POST /pay", "k", fingerprint, patience).await.unwrap()
}

on_every_topology! {
    async fn a_waiter_gets_the_outcome(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let waiters: Vec<_> = (0..8).map(|_| waiter(&requests)).collect();
        until_listening(&t, claim.request(), 1).await;
        assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
        let completed = Instant::now();
        for waiter in waiters {
            assert_eq!(replayed(waiter.await.unwrap()), b"paid");
        }
        assert!(completed.elapsed() < LEASE / 2, "they waited for the lease, not for the news");
    }

    async fn a_waiter_runs_what_was_released(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let waiter = waiter(&requests);
        until_listening(&t, claim.request(), 1).await;
        assert_eq!(claim.release().await.unwrap(), Release::Released);
        let released = Instant::now();
        assert_eq!(started(waiter.await.unwrap()).attempt(), 1);
        assert!(released.elapsed() < LEASE / 2, "it waited for the lease, not for the news");
    }

    async fn a_waiter_hears_of_a_doubt(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let waiter = waiter(&requests);
        until_listening(&t, claim.request(), 1).await;
        assert_eq!(claim.indeterminate().await.unwrap(), Completion::Stored);
        assert!(matches!(waiter.await.unwrap(), Begin::InDoubt));
    }

    /// Nobody tells of a death: the lease ends, and one of the waiters runs the request.
    async fn a_waiter_outlives_the_worker(t: TestRedis) {
        let options = Options::new().lease(Duration::from_millis(300)).retention(Duration::from_secs(60));
        let requests = Idempotency::with_options(t.redis.clone(), options).unwrap();
        let died = start(&requests, "k").await;
        assert_eq!(started(wait(&requests, Duration::from_secs(60)).await).attempt(), 2);
        assert_eq!(died.complete("late").await.unwrap(), Completion::Lost);
    }

    async fn a_waiter_without_patience_is_sent_away_and_changes_nothing(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let before = stored(&t.redis, claim.request()).await;
        for patience in [Duration::ZERO, Duration::from_millis(50)] {
            assert!(matches!(wait(&requests, patience).await, Begin::InProgress { .. }));
        }
        assert_eq!(stored(&t.redis, claim.request()).await, before);
        assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
    }

    async fn one_who_need_not_wait_does_not(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = started(wait(&requests, Duration::from_secs(60)).await);
        let scope = Scope::tenant("acme");
        let mismatch = requests.begin_or_wait(&scope, "POST /pay", "k", Fingerprint::of("other"), LEASE);
        assert!(matches!(mismatch.await.unwrap(), Begin::Mismatch));
        assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
        assert_eq!(replayed(wait(&requests, Duration::from_secs(60)).await), b"x");
    }
}

/// Counted at the wire: between its last look and the news a waiter sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_does_not_poll() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let mut through = TestRedis::at(&proxy.url()).await;
    through.redis = through.redis.with_namespace(t.redis.namespace().clone());
    let claim = start(&Idempotency::new(t.redis.clone()), "k").await;
    let waiter = waiter(&Idempotency::new(through.redis.clone()));
    until_listening(&t, claim.request(), 1).await;
    // Two looks of two commands each, and the source of one script at most.
    let looked = Instant::now();
    while proxy.counts().of("SET") < 2 {
        assert!(looked.elapsed() < Duration::from_secs(10), "it did not look after it listened");
        tokio::task::yield_now().await;
    }
    let others = Idempotency::new(t.redis.clone());
    for _ in 0..200 {
        assert!(matches!(begin(&others, "k", BODY).await, Begin::InProgress { .. }));
    }
    assert_eq!(proxy.counts().of("SET"), 2, "it looked without a reason");
    assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
    assert_eq!(replayed(waiter.await.unwrap()), b"paid");
    assert_eq!(proxy.counts().of("SET"), 3);
    t.delete_keys().await;
}
