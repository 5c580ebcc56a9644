//! A lock seen from outside, and taken from its holder by force.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, Forced, LockOptions, Locks, Lost, Released};
use redis_patterns_core::BootInstant;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn locks(t: &TestRedis) -> Locks {
    Locks::new(t.redis.clone(), LockOptions::new().lease(MINUTE).unwrap())
}

on_every_topology! {
    async fn holder_and_queue_are_seen_and_not_changed(t: TestRedis) {
        let locks = locks(&t);
        let free = locks.inspect("a").await.unwrap();
        assert_eq!((free.holder, free.waiting), (None, 0));
        assert_eq!(t.keys().await.len(), 0);
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let waiting = tokio::spawn({ let locks = locks.clone(); async move { locks.lock("a", MINUTE).await } });
        let started = BootInstant::now();
        let seen = loop {
            let seen = locks.inspect("a").await.unwrap();
            if seen.waiting == 1 { break seen; }
            assert!(started.elapsed() < MINUTE, "nobody is seen waiting");
            tokio::task::yield_now().await;
        };
        let holder = seen.holder.unwrap();
        assert_eq!(holder.fence, guard.fence().unwrap());
        assert!(holder.lease_left <= MINUTE && holder.lease_left > MINUTE / 2);
        waiting.abort();
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    async fn force_frees_the_holder_that_was_seen_and_no_newer_one(t: TestRedis) {
        let locks = locks(&t);
        let first = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let seen = locks.inspect("a").await.unwrap().holder.unwrap().fence;
        assert_eq!(locks.force_release("a", seen).await.unwrap(), Forced::Freed);
        assert_eq!(locks.force_release("a", seen).await.unwrap(), Forced::FreeAlready);
        let second = locks.try_lock("a").await.unwrap().acquired().unwrap();
        assert!(second.fence().unwrap() > seen);
        assert_eq!(locks.force_release("a", seen).await.unwrap(), Forced::HeldByNewer);
        assert!(matches!(first.extend().await, Err(Error::Lost(Lost::Gone))));
        assert_eq!(first.release().await.unwrap(), Released::Lapsed);
        assert_eq!(second.release().await.unwrap(), Released::InTime);
    }

    async fn who_waits_is_served_after_force(t: TestRedis) {
        let locks = locks(&t);
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let fence = guard.fence().unwrap();
        let waiting = tokio::spawn({ let locks = locks.clone(); async move { locks.lock("a", MINUTE).await } });
        while locks.inspect("a").await.unwrap().waiting == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(locks.force_release("a", fence).await.unwrap(), Forced::Freed);
        let next = tokio::time::timeout(MINUTE / 2, waiting).await.unwrap().unwrap().unwrap().acquired();
        assert!(next.unwrap().fence().unwrap() > fence);
    }
}
