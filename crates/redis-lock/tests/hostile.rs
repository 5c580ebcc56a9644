//! Names that try to break out of their key, meet another's lock, or choose a slot.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockOptions, Locks, Released};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::num::NonZeroU32;
use std::time::Duration;

on_every_topology! {
    async fn every_hostile_name_has_a_lock_of_its_own(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let names = hostile::ids();
        let mut guards = Vec::new();
        for name in &names {
            let guard = locks.try_lock(name).await.unwrap().acquired();
            guards.push(guard.expect("a name met the lock of another"));
        }
        for name in &names {
            assert!(locks.try_lock(name).await.unwrap().acquired().is_none(), "a name lost its lock");
        }
        assert_eq!(t.keys().await.len(), 2 * names.len());
    }

    async fn every_hostile_name_has_a_semaphore_and_a_read_write_lock_of_its_own(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let names = hostile::ids();
        let mut guards = Vec::new();
        for name in &names {
            let permit = locks.semaphore(name, NonZeroU32::MIN).try_acquire(NonZeroU32::MIN).await.unwrap();
            guards.push(permit.acquired().expect("a name met the semaphore of another"));
            let writer = locks.rw_lock(name).try_write().await.unwrap();
            guards.push(writer.acquired().expect("a name met the read-write lock of another"));
        }
        for name in &names {
            assert!(locks.rw_lock(name).try_read().await.unwrap().acquired().is_none(), "a name lost its lock");
        }
        assert_eq!(t.keys().await.len(), 4 * names.len());
    }

    /// All at once, in one order: names that are prefixes, empty or not UTF-8 are names like others.
    async fn hostile_names_are_locked_together(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let mut names = hostile::ids();
        names.sort();
        names.dedup();
        let all = locks.lock_all(&names, Duration::from_secs(30)).await.unwrap().acquired().unwrap();
        assert_eq!(all.fences().unwrap().len(), names.len());
        assert_eq!(all.release().await.unwrap(), Released::InTime);
    }

    /// The extremes of a semaphore: one permit, and as many as a number can say.
    async fn the_number_of_permits_has_no_overflow(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let most = locks.semaphore("a", NonZeroU32::MAX);
        let one = most.try_acquire(NonZeroU32::MIN).await.unwrap().acquired().unwrap();
        assert!(most.try_acquire(NonZeroU32::MAX).await.unwrap().acquired().is_none());
        let rest = NonZeroU32::new(u32::MAX - 1).unwrap();
        assert!(most.try_acquire(rest).await.unwrap().acquired().is_some());
        drop(one);
    }

    /// The fence of `a` lives in a key whose name ends like that of a lock called `a:f` might.
    async fn a_name_cannot_reach_the_fence_of_another(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let names = ["a", "a:f", "{a}:f", "a}:f", "a%3Af"];
        let mut guards = Vec::new();
        for name in names {
            guards.push(locks.try_lock(name).await.unwrap().acquired().expect("free"));
        }
        assert_eq!(t.keys().await.len(), 2 * names.len());
    }
}
