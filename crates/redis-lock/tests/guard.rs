//! The guard's time: renewed, lost, told in time.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockGuard, LockOptions, Locks, Lost, Released};
use redis_patterns_core::{Args, BootInstant, Key, Redis, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::future::pending;
use std::time::Duration;

const LEASE: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(60);

fn renewed(redis: &Redis, lease: Duration, max_hold: Duration) -> Locks {
    let options = LockOptions::new().lease(lease).unwrap().renewed_for_at_most(max_hold).unwrap();
    Locks::new(redis.clone(), options)
}

fn key(redis: &Redis) -> Key {
    redis.namespace().key("lock", &Tag::of("a"))
}

async fn take(locks: &Locks) -> LockGuard {
    locks.try_lock("a").await.unwrap().acquired().expect("the lock is free")
}

/// Lets time go by where time is what is tested: a lease that is longer than what is waited for.
async fn pass(span: Duration) {
    let _ = tokio::time::timeout(span, pending::<()>()).await;
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future).await.expect("it takes too long")
}

on_every_topology! {
    async fn a_renewed_guard_outlives_its_lease(t: TestRedis) {
        let guard = take(&renewed(&t.redis, LEASE, LONG)).await;
        let started = BootInstant::now();
        while started.elapsed() < LEASE * 3 {
            assert!(guard.fence().is_ok());
            pass(LEASE / 10).await;
        }
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    async fn a_guard_that_is_not_renewed_is_lost_in_time(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new().lease(LEASE).unwrap());
        let guard = take(&locks).await;
        assert_eq!(within(LEASE * 4, guard.lost()).await, Lost::Expired);
        assert_eq!(guard.fence(), Err(Lost::Expired));
    }

    async fn a_lock_that_is_gone_is_noticed_by_the_watchdog_and_not_taken_again(t: TestRedis) {
        let guard = take(&renewed(&t.redis, LEASE, LONG)).await;
        t.redis.command::<()>("DEL", &[&key(&t.redis)], &Args::new()).await.unwrap();
        assert_eq!(within(LEASE * 4, guard.lost()).await, Lost::Gone);
        assert_eq!(t.redis.command::<i64>("EXISTS", &[&key(&t.redis)], &Args::new()).await.unwrap(), 0);
    }

    async fn a_hold_ends_at_its_longest_however_well_renewed(t: TestRedis) {
        let guard = take(&renewed(&t.redis, LEASE, LEASE * 2)).await;
        let started = BootInstant::now();
        assert_eq!(within(LEASE * 6, guard.lost()).await, Lost::HeldTooLong);
        assert!(started.elapsed() > LEASE);
        // Its last lease is not cut short: the holder may need it to stop.
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    async fn a_dropped_guard_is_renewed_no_more(t: TestRedis) {
        let locks = renewed(&t.redis, LEASE, LONG);
        drop(take(&locks).await);
        locks.close().await;
        let other = take(&locks).await;
        // A watchdog left over would extend by the first token and change nothing; this one's does.
        assert!(within(LEASE * 4, other.run(pass(LEASE * 2))).await.is_ok());
    }

    async fn work_under_a_lost_lock_is_dropped(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new().lease(LEASE).unwrap());
        let guard = take(&locks).await;
        assert_eq!(guard.run(async { 7 }).await, Ok(7));
        assert_eq!(within(LEASE * 4, guard.run(pending::<()>())).await, Err(Lost::Expired));
    }

    async fn closing_redis_does_not_wait_for_guards(t: TestRedis) {
        // A handle of its own: the others of this test share nothing with it.
        let redis = Redis::builder(t.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
        let guard = take(&renewed(&redis, LEASE, LONG)).await;
        within(Duration::from_secs(5), redis.close()).await;
        assert_eq!(within(LEASE * 4, guard.lost()).await, Lost::Expired);
    }
}
