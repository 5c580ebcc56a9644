//! Several locks at once: in one order, each with its fence, all or none.

#![allow(clippy::unwrap_used)]

mod common;

use common::Room;
use redis_lock::{Error, LockOptions, Locks, Lost, Redis, Released, TryLock};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn locks(redis: &Redis) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(HOUR).unwrap())
}

fn key(redis: &Redis, name: &str) -> Key {
    redis.namespace().key("lock", &Tag::of(name))
}

async fn exists(redis: &Redis, name: &str) -> bool {
    redis.command("EXISTS", &[&key(redis, name)], &Args::new()).await.unwrap()
}

on_every_topology! {
    async fn each_lock_has_its_fence_in_the_order_of_the_names(t: TestRedis) {
        let locks = locks(&t.redis);
        let names = ["c", "a", "b"];
        let all = locks.lock_all(&names, PATIENCE).await.unwrap().acquired().unwrap();
        let fences = all.fences().unwrap();
        for (name, fence) in names.iter().zip(&fences) {
            assert_eq!(locks.inspect(name).await.unwrap().holder.unwrap().fence, *fence);
        }
        // Taken in the order of their bytes: fences are times, unless the clock stood still.
        assert!(fences[1] <= fences[2] && fences[2] <= fences[0]);
        assert_eq!(all.release().await.unwrap(), Released::InTime);
        for name in names {
            assert!(!exists(&t.redis, name).await);
        }
    }

    async fn one_that_stays_busy_frees_the_others(t: TestRedis) {
        let locks = locks(&t.redis);
        let busy = locks.try_lock("b").await.unwrap().acquired().unwrap();
        let TryLock::Busy { retry_after } = locks.lock_all(&["c", "b", "a"], Duration::ZERO).await.unwrap() else {
            panic!("two holders");
        };
        assert!(retry_after > HOUR / 2);
        locks.close().await;
        assert!(!exists(&t.redis, "a").await && !exists(&t.redis, "c").await);
        assert_eq!(busy.release().await.unwrap(), Released::InTime);
    }

    /// Two that take the same locks in opposite order would wait for each other.
    async fn opposite_orders_do_not_block_each_other(t: TestRedis) {
        let (mine, other) = (locks(&t.redis), locks(&t.another().await));
        let room = Room::default();
        let tasks: Vec<_> = (0..6).map(|number| {
            let (locks, room) = (if number % 2 == 0 { mine.clone() } else { other.clone() }, room.clone());
            let names = if number % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            tokio::spawn(async move {
                for _ in 0..5 {
                    let both = locks.lock_all(&names, PATIENCE).await.unwrap().acquired().unwrap();
                    room.visit().await;
                    assert_eq!(both.release().await.unwrap(), Released::InTime);
                }
            })
        }).collect();
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    }

    async fn a_part_can_be_released_and_a_drop_frees_the_rest(t: TestRedis) {
        let locks = locks(&t.redis);
        let all = locks.lock_all(&["a", "b", "c"], PATIENCE).await.unwrap().acquired().unwrap();
        let mut guards = all.into_guards();
        assert_eq!(guards.remove(1).release().await.unwrap(), Released::InTime);
        assert!(exists(&t.redis, "a").await && !exists(&t.redis, "b").await && exists(&t.redis, "c").await);
        drop(guards);
        locks.close().await;
        assert!(!exists(&t.redis, "a").await && !exists(&t.redis, "c").await);
    }

    /// A release that stops at the first lapsed lock leaves the others to their leases.
    async fn one_lapsed_lock_does_not_keep_the_others_from_being_freed(t: TestRedis) {
        let locks = locks(&t.redis);
        let all = locks.lock_all(&["a", "b", "c"], PATIENCE).await.unwrap().acquired().unwrap();
        t.redis.command::<()>("DEL", &[&key(&t.redis, "b")], &Args::new()).await.unwrap();
        assert_eq!(all.release().await.unwrap(), Released::Lapsed);
        assert!(!exists(&t.redis, "a").await && !exists(&t.redis, "c").await);
    }

    async fn losing_one_ends_the_work(t: TestRedis) {
        let locks = locks(&t.redis);
        let all = locks.lock_all(&["a", "b"], PATIENCE).await.unwrap().acquired().unwrap();
        assert_eq!(all.run(async { 7 }).await, Ok(7));
        t.redis.command::<()>("DEL", &[&key(&t.redis, "b")], &Args::new()).await.unwrap();
        assert!(all.guards()[1].extend().await.is_err());
        assert_eq!(all.run(std::future::pending::<()>()).await, Err(Lost::Gone));
        assert_eq!(all.fences(), Err(Lost::Gone));
    }

    async fn a_call_that_is_dropped_half_way_keeps_nothing(t: TestRedis) {
        let locks = locks(&t.redis);
        let busy = locks.try_lock("b").await.unwrap().acquired().unwrap();
        let call = tokio::spawn({
            let locks = locks.clone();
            async move { locks.lock_all(&["a", "b"], PATIENCE).await.map(drop) }
        });
        eventually("the second is waited for", async || locks.inspect("b").await.unwrap().waiting == 1).await;
        assert!(exists(&t.redis, "a").await);
        call.abort();
        assert!(call.await.is_err());
        locks.close().await;
        assert!(!exists(&t.redis, "a").await);
        assert_eq!(busy.release().await.unwrap(), Released::InTime);
    }

    async fn no_name_and_a_name_twice_are_refused(t: TestRedis) {
        let locks = locks(&t.redis);
        let none: [&str; 0] = [];
        assert!(matches!(locks.lock_all(&none, PATIENCE).await, Err(Error::Options(_))));
        assert!(matches!(locks.lock_all(&["a", "b", "a"], PATIENCE).await, Err(Error::Options(_))));
        assert!(t.keys().await.is_empty());
    }
}
