//! One task renews all guards of a handle, a hundred in one script.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockGuard, LockOptions, Locks, Lost, Redis, Released};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::faults::{Match, Proxy, stats};
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use std::num::NonZeroU32;
use std::time::Duration;

const LEASE: Duration = Duration::from_millis(1_500);
const LONG: Duration = Duration::from_secs(600);

fn renewed(redis: &Redis, lease: Duration) -> Locks {
    let options = LockOptions::new().lease(lease).unwrap().renewed_for_at_most(LONG).unwrap();
    Locks::new(redis.clone(), options)
}

fn key(redis: &Redis, name: &str) -> Key {
    redis.namespace().key("lock", &Tag::of(name))
}

async fn take(locks: &Locks, name: &str) -> LockGuard {
    locks.try_lock(name).await.unwrap().acquired().expect("the lock is free")
}

/// The moment at which the server's lease ends, in ms.
async fn ends(redis: &Redis, name: &str) -> i64 {
    redis.command("PEXPIRETIME", &[&key(redis, name)], &Args::new()).await.unwrap()
}

on_every_topology! {
    async fn every_guard_is_renewed_and_one_that_lost_its_lock_alone_is_told(t: TestRedis) {
        let locks = renewed(&t.redis, LEASE);
        let mut guards = Vec::new();
        for number in 0..150 {
            guards.push(take(&locks, &format!("lock-{number}")).await);
        }
        t.redis.command::<()>("DEL", &[&key(&t.redis, "lock-70")], &Args::new()).await.unwrap();
        assert_eq!(guards[70].lost().await, Lost::Gone);
        let before = ends(&t.redis, "lock-149").await;
        eventually("the last one is renewed twice", async || {
            ends(&t.redis, "lock-149").await > before + 600
        }).await;
        for (number, guard) in guards.into_iter().enumerate() {
            let expected = if number == 70 { Released::Lapsed } else { Released::InTime };
            assert_eq!(guard.release().await.unwrap(), expected, "lock-{number}");
        }
    }

    async fn permits_and_mutexes_of_a_handle_are_renewed_alike(t: TestRedis) {
        let locks = renewed(&t.redis, LEASE);
        let mutex = take(&locks, "a").await;
        let permit = locks.semaphore("a", NonZeroU32::MIN).try_acquire(NonZeroU32::MIN).await.unwrap();
        let permit = permit.acquired().unwrap();
        let reader = locks.rw_lock("a").try_read().await.unwrap().acquired().unwrap();
        let holders = t.redis.namespace().key("semaphore", &Tag::of("a"));
        let first: i64 = t.redis.command("PEXPIRETIME", &[&holders], &Args::new()).await.unwrap();
        eventually("the permits are renewed past their first lease", async || {
            let now: i64 = t.redis.command("PEXPIRETIME", &[&holders], &Args::new()).await.unwrap();
            now > first + 1_500
        }).await;
        for guard in [mutex, permit, reader] {
            assert!(guard.fence().is_ok());
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
        }
    }

    async fn the_task_starts_again_after_its_last_guard_is_gone(t: TestRedis) {
        let locks = renewed(&t.redis, LEASE);
        for _ in 0..2 {
            let guard = take(&locks, "a").await;
            let before = ends(&t.redis, "a").await;
            eventually("it is renewed", async || ends(&t.redis, "a").await > before + 300).await;
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
        }
    }
}

/// Alone on its server, since the count is over all clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_locks_take_some_ten_requests() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    // Long, so that a slow machine takes all of them before the first is due.
    let locks = renewed(&redis, Duration::from_secs(24));
    let mut guards = Vec::new();
    for number in 0..1_000 {
        guards.push(take(&locks, &format!("lock-{number}")).await);
    }
    let ended = ends(&redis, "lock-999").await;
    let renewed = async || {
        eventually("all are renewed once", async || ends(&redis, "lock-999").await > ended + 4_000).await;
    };
    let ((), cost) = stats::round_trips(&[server.url()], renewed).await.unwrap();
    let requests = cost.sent.of("EVALSHA");
    println!("1,000 renewals by {requests} requests");
    // Ten, and some more if they were taken over a span that is not renewed at once.
    assert!((10..=40).contains(&requests), "{requests}");
    assert!(guards.iter().all(|guard| guard.fence().is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_a_renewal_is_asked_for_again() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    let locks = renewed(&redis, LEASE);
    let guards = [take(&locks, "a").await, take(&locks, "b").await];
    let before = ends(&t.redis, "b").await;
    proxy.lose_replies(2, Match::Command("EVALSHA"));
    eventually("it is renewed all the same", async || ends(&t.redis, "b").await > before + 1_000).await;
    assert_eq!(proxy.counts().lost_replies, 2);
    for guard in guards {
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }
}
