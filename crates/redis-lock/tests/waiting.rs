//! Waiting: in order, without polling, past the dead and the late.

#![allow(clippy::unwrap_used)]

mod common;

use common::Room;
use redis_lock::{LockGuard, LockOptions, Locks, Redis, Released, TryLock};
use redis_patterns_core::{Args, BootInstant, Key, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;
use tokio::sync::mpsc;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn locks(redis: &Redis) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(HOUR).unwrap())
}

fn part(redis: &Redis, part: &str) -> Key {
    redis.namespace().part("lock", &Tag::of("a"), part)
}

async fn take(locks: &Locks) -> LockGuard {
    locks.lock("a", PATIENCE).await.unwrap().acquired().expect("the patience is long")
}

async fn queued(redis: &Redis, how_many: i64) {
    let queue = part(redis, "q");
    let count = async || redis.command::<i64>("ZCARD", &[&queue], &Args::new()).await.unwrap();
    eventually(&format!("there are {how_many} in the queue"), async || count().await == how_many).await;
}

/// At once: the queue forgets by itself who has been silent for some seconds.
async fn queued_now(redis: &Redis, how_many: i64) {
    let now: i64 = redis.command("ZCARD", &[&part(redis, "q")], &Args::new()).await.unwrap();
    assert_eq!(now, how_many);
}

/// Puts a token into the queue whose process says nothing any more.
async fn plant(redis: &Redis, token: &str, alive_until_us: i64) {
    for (key, score) in [("q", 1), ("a", alive_until_us)] {
        let args = Args::new().int(score).bytes(token);
        redis.command::<()>("ZADD", &[&part(redis, key)], &args).await.unwrap();
        redis.command::<()>("PEXPIRE", &[&part(redis, key)], &Args::new().int(60_000)).await.unwrap();
    }
}

on_every_topology! {
    async fn an_uncontended_lock_is_taken_at_once(t: TestRedis) {
        let guard = take(&locks(&t.redis)).await;
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    async fn who_waits_is_served_in_order_with_rising_fences(t: TestRedis) {
        let mine = locks(&t.redis);
        let mut holder = take(&mine).await;
        let (served, mut order) = mpsc::unbounded_channel();
        // Half of them in another process, as far as Redis can tell.
        let other = locks(&t.another().await);
        for number in 0..6 {
            let locks = if number % 2 == 0 { mine.clone() } else { other.clone() };
            let served = served.clone();
            tokio::spawn(async move {
                let guard = take(&locks).await;
                served.send((number, guard)).unwrap();
            });
            queued(&t.redis, i64::from(number) + 1).await;
        }
        for number in 0..6 {
            let before = holder.fence().unwrap();
            assert_eq!(holder.release().await.unwrap(), Released::InTime);
            let (who, guard) = tokio::time::timeout(PATIENCE, order.recv()).await.unwrap().unwrap();
            assert_eq!(who, number);
            assert!(guard.fence().unwrap() > before);
            // Accepted: a whole lease, not the short grant.
            assert!(guard.time_left() > HOUR / 2);
            holder = guard;
        }
    }

    async fn patience_ends_and_leaves_no_trace(t: TestRedis) {
        let locks = locks(&t.redis);
        let guard = take(&locks).await;
        let TryLock::Busy { retry_after } = locks.lock("a", Duration::from_millis(50)).await.unwrap() else {
            panic!("two holders");
        };
        assert!(retry_after > HOUR / 2);
        assert!(locks.lock("a", Duration::ZERO).await.unwrap().acquired().is_none());
        locks.close().await;
        queued_now(&t.redis, 0).await;
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    async fn a_dropped_waiter_leaves_the_queue_and_gives_on_what_it_was_given(t: TestRedis) {
        let locks = locks(&t.redis);
        for round in 0..20 {
            let guard = take(&locks).await;
            let quitter = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
            queued(&t.redis, 1).await;
            let next = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
            queued(&t.redis, 2).await;
            // Before its turn, or at about the moment at which it is told.
            if round % 2 == 0 {
                quitter.abort();
                assert!(quitter.await.is_err());
                locks.close().await;
                queued_now(&t.redis, 1).await;
                let _ = guard.release().await.unwrap();
            } else {
                let _ = guard.release().await.unwrap();
                quitter.abort();
                drop(quitter.await);
            }
            let started = BootInstant::now();
            let guard = tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
            assert!(started.elapsed() < Duration::from_millis(900), "it waited for one that had given up");
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
            locks.close().await;
            queued_now(&t.redis, 0).await;
        }
    }

    async fn a_holder_that_died_is_followed_when_its_lease_ends(t: TestRedis) {
        let locks = locks(&t.redis);
        let dead = take(&locks).await;
        let next = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
        queued(&t.redis, 1).await;
        let lock = t.redis.namespace().key("lock", &Tag::of("a"));
        t.redis.command::<()>("PEXPIREAT", &[&lock], &Args::new().int(1)).await.unwrap();
        let guard = tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
        assert_eq!(dead.release().await.unwrap(), Released::Lapsed);
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    /// A waiter that stood still reads an old message when a later grant of its own stands.
    async fn a_late_message_does_not_lower_the_fence(t: TestRedis) {
        let locks = locks(&t.redis);
        let holder = take(&locks).await;
        let old = holder.fence().unwrap();
        let waits = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
        queued(&t.redis, 1).await;
        let range = Args::new().int(0).int(0);
        let tokens: Vec<String> = t.redis.command("ZRANGE", &[&part(&t.redis, "q")], &range).await.unwrap();
        let later = old.get() + 1_000;
        let lock = t.redis.namespace().key("lock", &Tag::of("a"));
        let args = Args::new().bytes(format!("{}:{later}", tokens[0])).word("PX").int(60_000);
        t.redis.command::<()>("SET", &[&lock], &args).await.unwrap();
        let late = format!("{}:{old}", tokens[0]);
        t.redis.publish(&part(&t.redis, "c"), late).await.unwrap();
        let guard = tokio::time::timeout(PATIENCE, waits).await.unwrap().unwrap();
        assert_eq!(guard.fence().unwrap().get(), later);
        assert!(guard.time_left() > HOUR / 2);
        assert_eq!(holder.release().await.unwrap(), Released::Lapsed);
    }

    async fn a_dead_waiter_is_skipped(t: TestRedis) {
        let locks = locks(&t.redis);
        let guard = take(&locks).await;
        plant(&t.redis, "dead", 1).await;
        let next = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
        queued(&t.redis, 2).await;
        let started = BootInstant::now();
        let _ = guard.release().await.unwrap();
        drop(tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap());
        assert!(started.elapsed() < Duration::from_millis(1_500), "it waited for a dead one");
    }

    async fn a_waiter_that_died_unnoticed_costs_its_grant_and_no_more(t: TestRedis) {
        let locks = locks(&t.redis);
        let guard = take(&locks).await;
        plant(&t.redis, "ghost", i64::MAX / 4_096).await;
        let next = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
        queued(&t.redis, 2).await;
        let started = BootInstant::now();
        let _ = guard.release().await.unwrap();
        drop(tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap());
        assert!(started.elapsed() > Duration::from_millis(1_500), "the ghost was never given the lock");
    }

    async fn every_key_of_the_queue_has_a_ttl(t: TestRedis) {
        let locks = locks(&t.redis);
        let _guard = take(&locks).await;
        let waiting = tokio::spawn({ let locks = locks.clone(); async move { take(&locks).await } });
        queued(&t.redis, 1).await;
        let keys = t.keys().await;
        assert_eq!(keys.len(), 4, "{keys:?}");
        for key in keys {
            assert!(t.ttl_ms(&key).await > 0, "{key} is immortal");
        }
        waiting.abort();
    }

    /// Sixteen tasks over two handles: one holder at a time, nobody is left out.
    async fn a_crowd_is_served_one_at_a_time_and_evenly(t: TestRedis) {
        let (mine, other) = (locks(&t.redis), locks(&t.another().await));
        let room = Room::default();
        let tasks: Vec<_> = (0..16).map(|number| {
            let (locks, room) = (if number % 2 == 0 { mine.clone() } else { other.clone() }, room.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let guard = take(&locks).await;
                    room.visit().await;
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
            })
        }).collect();
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
        mine.close().await;
        other.close().await;
        queued(&t.redis, 0).await;
    }
}
