//! Faults that other lock libraries have had, by the numbers of our study; each named test fails on
//! a lock that has the fault. Those that need more room have their own files: failover and eviction
//! (1, 2) `fence_monotonic`, check in the write's own transaction and the gap before the first write
//! (5, 6) `downstream_*`, silent loss (7) `lost_before_expiry`, cancellation (17) `cancel_storm`.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, LockGuard, LockOptions, Locks, Redis, Released};
use redis_patterns_core::{Args, BootInstant, Key, Tag};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::collections::HashSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn locks(redis: &Redis, lease: Duration) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(lease).unwrap())
}

fn key(redis: &Redis) -> Key {
    redis.namespace().key("lock", &Tag::of("a"))
}

async fn get(redis: &Redis, key: &Key) -> Option<String> {
    redis.command("GET", &[key], &Args::new()).await.unwrap()
}

async fn take(locks: &Locks) -> LockGuard {
    locks.try_lock("a").await.unwrap().acquired().expect("the lock is free")
}

async fn expire(redis: &Redis) {
    redis.command::<()>("PEXPIREAT", &[&key(redis)], &Args::new().int(1)).await.unwrap();
}

on_every_topology! {
    /// A counter raised after the lock was taken gives the later number to the earlier holder, if
    /// that one pauses between the two.
    async fn p3_the_fence_is_issued_in_the_step_that_takes_the_lock(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let first = take(&locks).await;
        expire(&t.redis).await;
        let second = take(&locks).await;
        assert!(first.fence().unwrap() < second.fence().unwrap());
        let stored = get(&t.redis, &key(&t.redis)).await.unwrap();
        assert!(stored.ends_with(&format!(":{}", second.fence().unwrap())));
    }

    /// A fence read back from Redis is the successor's, which lets a late holder pass.
    async fn p4_a_late_holder_never_learns_its_successors_fence(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let late = take(&locks).await;
        let mine = late.fence().unwrap();
        expire(&t.redis).await;
        let successor = take(&locks).await;
        assert_eq!(late.fence().unwrap(), mine);
        assert!(late.extend().await.is_err());
        assert!(late.fence().is_err());
        assert!(late.raise_fence(successor.fence().unwrap()).await.is_err());
    }

    /// An extension that sets the key anew takes a lock that somebody else may have had meanwhile.
    async fn p10_a_guard_that_lost_its_lock_does_not_take_it_again(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let guard = take(&locks).await;
        expire(&t.redis).await;
        assert!(guard.extend().await.is_err());
        assert_eq!(get(&t.redis, &key(&t.redis)).await, None);
    }

    /// Milliseconds taken for seconds make a lease of ten seconds one of three hours.
    async fn p12_a_lease_is_as_long_as_it_says(t: TestRedis) {
        for lease in [Duration::from_millis(1_500), Duration::from_secs(10), HOUR] {
            let guard = take(&locks(&t.redis, lease)).await;
            let left = t.ttl_ms(key(&t.redis).as_str()).await;
            let asked = i64::try_from(lease.as_millis()).unwrap();
            assert!(left <= asked && left > asked / 2, "{left} ms of {lease:?}");
            guard.extend().await.unwrap();
            assert!(t.ttl_ms(key(&t.redis).as_str()).await <= asked);
            let _ = guard.release().await.unwrap();
        }
    }

    /// A release between the look and the sleep of a waiter must not be missed.
    async fn p13_no_wake_up_is_lost(t: TestRedis) {
        let mine = locks(&t.redis, HOUR);
        let other = locks(&t.another().await, HOUR);
        for _ in 0..100 {
            let guard = take(&mine).await;
            let waiting = tokio::spawn({ let other = other.clone(); async move { other.lock("a", PATIENCE).await } });
            // Anywhere between before its look and long after.
            tokio::task::yield_now().await;
            let started = BootInstant::now();
            let _ = guard.release().await.unwrap();
            let guard = waiting.await.unwrap().unwrap().acquired().unwrap();
            assert!(started.elapsed() < Duration::from_millis(900), "found by a timer, not told");
            let _ = guard.release().await.unwrap();
        }
    }

    /// Keys of one lock on two nodes are refused by a cluster.
    async fn p19_all_keys_of_a_lock_share_a_slot(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        for number in 0..50 {
            let guard = locks.try_lock(format!("lock-{number}")).await.unwrap().acquired().unwrap();
            guard.extend().await.unwrap();
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
        }
    }

    /// A number past 2^53 loses digits in Lua, and 1e15 as text is no number for the next reader.
    async fn p24_a_fence_is_written_in_full(t: TestRedis) {
        let guard = take(&locks(&t.redis, HOUR)).await;
        let fence = t.redis.namespace().part("lock", &Tag::of("a"), "f");
        assert_eq!(get(&t.redis, &fence).await, Some(guard.fence().unwrap().to_string()));
    }

    /// A token of the process instead of the grant lets an earlier guard free a later one.
    async fn p25_every_grant_has_a_token_of_its_own(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let mut tokens = HashSet::new();
        for _ in 0..50 {
            let guard = take(&locks).await;
            let value = get(&t.redis, &key(&t.redis)).await.unwrap();
            assert!(tokens.insert(value.split(':').next().unwrap().to_owned()));
            let _ = guard.release().await.unwrap();
        }
        let late = take(&locks).await;
        expire(&t.redis).await;
        let present = take(&locks).await;
        drop(late);
        locks.close().await;
        assert_eq!(present.release().await.unwrap(), Released::InTime);
    }
}

/// An answer that took longer than the lease is no lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_a_lock_that_came_too_late_is_an_error() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url())
        .namespace(t.redis.namespace().clone())
        .command_deadline(PATIENCE)
        .connect()
        .await
        .unwrap();
    let locks = locks(&redis, Duration::from_millis(100));
    let _ = take(&locks).await.release().await.unwrap();
    proxy.delay(Duration::from_millis(150));
    assert!(matches!(locks.try_lock("a").await, Err(Error::Lost(_))));
    assert!(proxy.counts().delayed > 0);
}

/// A client that sends SET NX again after a cut meets its own key and waits for its own lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p16_a_request_sent_again_is_not_kept_out_by_itself() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    let locks = locks(&redis, HOUR);
    let _ = take(&locks).await.release().await.unwrap();
    for _ in 0..3 {
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        let guard = take(&locks).await;
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }
    assert_eq!(proxy.counts().lost_replies, 3);
}
