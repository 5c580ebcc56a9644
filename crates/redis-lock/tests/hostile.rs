//! Names that try to break out of their key, meet another's lock, or choose a slot.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockOptions, Locks};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

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
