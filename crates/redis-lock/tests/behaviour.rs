//! One test per sentence of the README's promises.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, LockGuard, LockOptions, Locks, Lost, Released, TryLock};
use redis_patterns_core::{Args, Key, Redis, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn locks(redis: &Redis) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(MINUTE).unwrap())
}

fn key(redis: &Redis, name: &str) -> Key {
    redis.namespace().key("lock", &Tag::of(name))
}

fn fence_key(redis: &Redis, name: &str) -> Key {
    redis.namespace().part("lock", &Tag::of(name), "f")
}

async fn take(locks: &Locks, name: &str) -> LockGuard {
    locks.try_lock(name).await.unwrap().acquired().expect("the lock is free")
}

/// Ends the server's lease now instead of waiting for it.
async fn expire(redis: &Redis, key: &Key) {
    redis.command::<()>("PEXPIREAT", &[key], &Args::new().int(1)).await.unwrap();
}

async fn pttl(redis: &Redis, key: &Key) -> i64 {
    redis.command("PTTL", &[key], &Args::new()).await.unwrap()
}

on_every_topology! {
    async fn a_held_lock_is_busy_until_released(t: TestRedis) {
        let locks = locks(&t.redis);
        let guard = take(&locks, "a").await;
        let TryLock::Busy { retry_after } = locks.try_lock("a").await.unwrap() else {
            panic!("two holders");
        };
        assert!(retry_after <= MINUTE && retry_after > MINUTE / 2);
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
        assert_eq!(take(&locks, "a").await.release().await.unwrap(), Released::InTime);
    }

    async fn other_names_are_other_locks(t: TestRedis) {
        let locks = locks(&t.redis);
        let _a = take(&locks, "a").await;
        let _b = take(&locks, "b").await;
    }

    async fn each_grant_has_a_higher_fence(t: TestRedis) {
        let locks = locks(&t.redis);
        let mut last = None;
        for _ in 0..50 {
            let guard = take(&locks, "a").await;
            let fence = guard.fence().unwrap();
            assert!(Some(fence) > last);
            last = Some(fence);
            let _ = guard.release().await.unwrap();
        }
    }

    async fn a_busy_answer_changes_nothing(t: TestRedis) {
        let locks = locks(&t.redis);
        let _guard = take(&locks, "a").await;
        let (lock, fence) = (key(&t.redis, "a"), fence_key(&t.redis, "a"));
        let args = Args::new;
        let look = || async {
            let value: String = t.redis.command("GET", &[&lock], &args()).await.unwrap();
            let ends: i64 = t.redis.command("PEXPIRETIME", &[&lock], &args()).await.unwrap();
            let last: String = t.redis.command("GET", &[&fence], &args()).await.unwrap();
            let forgotten: i64 = t.redis.command("PEXPIRETIME", &[&fence], &args()).await.unwrap();
            (value, ends, last, forgotten)
        };
        let before = look().await;
        for _ in 0..20 {
            assert!(locks.try_lock("a").await.unwrap().acquired().is_none());
        }
        assert_eq!(look().await, before);
    }

    async fn a_late_release_frees_nobody_elses_lock(t: TestRedis) {
        let locks = locks(&t.redis);
        let late = take(&locks, "a").await;
        expire(&t.redis, &key(&t.redis, "a")).await;
        let present = take(&locks, "a").await;
        assert_eq!(late.release().await.unwrap(), Released::Lapsed);
        assert!(locks.try_lock("a").await.unwrap().acquired().is_none());
        assert_eq!(present.release().await.unwrap(), Released::InTime);
    }

    async fn a_lost_lock_is_not_taken_again_by_extending(t: TestRedis) {
        let locks = locks(&t.redis);
        let guard = take(&locks, "a").await;
        expire(&t.redis, &key(&t.redis, "a")).await;
        assert!(matches!(guard.extend().await, Err(Error::Lost(Lost::Gone))));
        assert_eq!(pttl(&t.redis, &key(&t.redis, "a")).await, -2);
        // From then on the guard gives no fence.
        assert_eq!(guard.fence(), Err(Lost::Gone));
        assert_eq!(guard.time_left(), Duration::ZERO);
        assert!(matches!(guard.extend().await, Err(Error::Lost(Lost::Gone))));
    }

    async fn extending_gives_a_whole_lease_and_never_shortens_one(t: TestRedis) {
        let guard = take(&locks(&t.redis), "a").await;
        let lock = key(&t.redis, "a");
        t.redis.command::<()>("PEXPIRE", &[&lock], &Args::new().int(1_000)).await.unwrap();
        guard.extend().await.unwrap();
        assert!(pttl(&t.redis, &lock).await > 30_000);
        t.redis.command::<()>("PEXPIRE", &[&lock], &Args::new().int(600_000)).await.unwrap();
        guard.extend().await.unwrap();
        assert!(pttl(&t.redis, &lock).await > 500_000);
        assert!(guard.time_left() > MINUTE / 2);
        let _ = guard.release().await.unwrap();
    }

    async fn the_guard_ends_before_the_servers_lease(t: TestRedis) {
        let options = LockOptions::new().lease(Duration::from_millis(300)).unwrap();
        let locks = Locks::new(t.redis.clone(), options);
        let guard = take(&locks, "a").await;
        let lock = key(&t.redis, "a");
        // Asked first, then compared: if the fence is still given, the server still has the lock.
        loop {
            let left = pttl(&t.redis, &lock).await;
            if guard.fence().is_err() {
                break;
            }
            assert!(left > 0, "the fence outlived the lease");
        }
        assert_eq!(guard.fence(), Err(Lost::Expired));
        assert!(matches!(guard.extend().await, Err(Error::Lost(Lost::Expired))));
    }

    async fn a_dropped_guard_frees_its_lock(t: TestRedis) {
        let locks = locks(&t.redis);
        drop(take(&locks, "a").await);
        locks.close().await;
        assert_eq!(pttl(&t.redis, &key(&t.redis, "a")).await, -2);
    }

    /// A guard dropped where no runtime is current frees its lock.
    async fn drop_without_runtime(t: TestRedis) {
        let guard = take(&locks(&t.redis), "a").await;
        std::thread::spawn(move || drop(guard)).join().unwrap();
        let lock = key(&t.redis, "a");
        eventually("a background task frees it", async || pttl(&t.redis, &lock).await == -2).await;
    }

    async fn a_dropped_call_leaves_no_lock(t: TestRedis) {
        let locks = locks(&t.redis);
        for _ in 0..100 {
            let call = locks.try_lock("a");
            tokio::select! {
                biased;
                // Polled once, so that the request is on its way when the call is dropped.
                answer = call => drop(answer),
                () = tokio::task::yield_now() => {}
            }
        }
        locks.close().await;
        assert_eq!(pttl(&t.redis, &key(&t.redis, "a")).await, -2);
    }

    async fn every_key_has_a_ttl_and_a_lock_that_lost_its_own_gets_it_back(t: TestRedis) {
        let locks = locks(&t.redis);
        let _guard = take(&locks, "a").await;
        let (lock, fence) = (key(&t.redis, "a"), fence_key(&t.redis, "a"));
        assert_eq!(t.keys().await, vec![lock.as_str(), fence.as_str()]);
        assert!(pttl(&t.redis, &fence).await > 23 * 3_600_000);
        t.redis.command::<()>("PERSIST", &[&lock], &Args::new()).await.unwrap();
        assert!(locks.try_lock("a").await.unwrap().acquired().is_none());
        let left = pttl(&t.redis, &lock).await;
        assert!(left > 0 && left <= 60_000, "still immortal");
    }

    async fn the_fence_is_remembered_longer_than_any_lease(t: TestRedis) {
        let options = LockOptions::new().lease(MINUTE).unwrap().fence_memory(Duration::ZERO).unwrap();
        let _guard = take(&Locks::new(t.redis.clone(), options), "a").await;
        assert!(pttl(&t.redis, &fence_key(&t.redis, "a")).await > 90_000);
    }
}

#[test]
fn options_out_of_range_are_refused() {
    for lease in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(9), Duration::MAX] {
        assert!(matches!(LockOptions::new().lease(lease), Err(Error::Options(_))), "{lease:?}");
    }
    assert!(LockOptions::new().lease(Duration::from_millis(10)).unwrap().validity() > Duration::ZERO);
    assert!(LockOptions::new().lease(Duration::from_secs(365 * 86_400)).is_ok());
    assert!(LockOptions::new().fence_memory(Duration::MAX).is_err());
}
