//! Semaphores and read-write locks: who may be in together, who comes next, whose lease ends.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, LockGuard, LockOptions, Locks, Lost, Redis, Released, RwLock, Semaphore, TryLock};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn locks(redis: &Redis) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(HOUR).unwrap())
}

fn permits(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn semaphore(redis: &Redis, number: u32) -> Semaphore {
    locks(redis).semaphore("a", permits(number))
}

fn key(redis: &Redis, pattern: &'static str) -> Key {
    redis.namespace().key(pattern, &Tag::of("a"))
}

fn held(answer: Result<TryLock, Error>) -> Option<LockGuard> {
    answer.unwrap().acquired()
}

async fn queued(redis: &Redis, pattern: &'static str, how_many: i64) {
    let queue = redis.namespace().part(pattern, &Tag::of("a"), "q");
    let count = async || redis.command::<i64>("ZCARD", &[&queue], &Args::new()).await.unwrap();
    eventually("so many are in the queue", async || count().await == how_many).await;
}

/// Ends the lease of the holder under this fence, as if it had been silent for long.
async fn expire(redis: &Redis, pattern: &'static str, guard: &LockGuard) {
    let holders = key(redis, pattern);
    let all: Vec<String> = redis.command("HGETALL", &[&holders], &Args::new()).await.unwrap();
    let fence = guard.fence().unwrap().to_string();
    for entry in all.chunks(2) {
        let parts: Vec<&str> = entry[1].split(':').collect();
        if parts[1] == fence {
            let over = Args::new().bytes(&entry[0]).bytes(format!("{}:{}:1", parts[0], parts[1]));
            redis.command::<()>("HSET", &[&holders], &over).await.unwrap();
        }
    }
}

fn later<F: Future<Output = Result<TryLock, Error>> + Send + 'static>(
    call: F,
) -> tokio::task::JoinHandle<LockGuard> {
    tokio::spawn(async move { held(call.await).expect("the patience is long") })
}

fn read(lock: &RwLock) -> tokio::task::JoinHandle<LockGuard> {
    let lock = lock.clone();
    later(async move { lock.read(PATIENCE).await })
}

fn write(lock: &RwLock) -> tokio::task::JoinHandle<LockGuard> {
    let lock = lock.clone();
    later(async move { lock.write(PATIENCE).await })
}

on_every_topology! {
    async fn there_are_so_many_permits_and_no_more(t: TestRedis) {
        let three = semaphore(&t.redis, 3);
        let (one, two) = (held(three.try_acquire(permits(1)).await), held(three.try_acquire(permits(2)).await));
        let (one, two) = (one.unwrap(), two.unwrap());
        let TryLock::Busy { retry_after } = three.try_acquire(permits(1)).await.unwrap() else { panic!("a fourth") };
        assert!(retry_after > HOUR / 2 && retry_after <= HOUR);
        assert_eq!(one.release().await.unwrap(), Released::InTime);
        assert!(held(three.try_acquire(permits(2)).await).is_none());
        let one = held(three.try_acquire(permits(1)).await).unwrap();
        assert_eq!(two.release().await.unwrap(), Released::InTime);
        assert_eq!(one.release().await.unwrap(), Released::InTime);
        assert!(matches!(three.try_acquire(permits(4)).await, Err(Error::Options(_))));
    }

    async fn each_grant_has_a_fence_of_its_own(t: TestRedis) {
        let three = semaphore(&t.redis, 3);
        let mut guards: Vec<LockGuard> = Vec::new();
        for _ in 0..3 {
            let guard = held(three.try_acquire(permits(1)).await).unwrap();
            assert!(guards.last().is_none_or(|last| guard.fence().unwrap() > last.fence().unwrap()));
            guards.push(guard);
        }
        let seen = guards[2].fence().unwrap();
        assert!(guards[0].raise_fence(seen).await.unwrap() > seen);
    }

    async fn a_large_request_is_not_kept_out_by_small_ones(t: TestRedis) {
        let three = semaphore(&t.redis, 3);
        let small = held(three.try_acquire(permits(1)).await).unwrap();
        let large = later({ let three = three.clone(); async move { three.acquire(permits(3), PATIENCE).await } });
        queued(&t.redis, "semaphore", 1).await;
        // There is room, but not for who came later.
        assert!(held(three.try_acquire(permits(1)).await).is_none());
        let after = later({ let three = three.clone(); async move { three.acquire(permits(1), PATIENCE).await } });
        queued(&t.redis, "semaphore", 2).await;
        assert_eq!(small.release().await.unwrap(), Released::InTime);
        let large = large.await.unwrap();
        queued(&t.redis, "semaphore", 1).await;
        assert_eq!(large.release().await.unwrap(), Released::InTime);
        assert_eq!(after.await.unwrap().release().await.unwrap(), Released::InTime);
    }

    async fn a_permit_ends_with_its_own_lease_and_is_not_taken_again(t: TestRedis) {
        let two = semaphore(&t.redis, 2);
        let (late, live) = (held(two.try_acquire(permits(1)).await), held(two.try_acquire(permits(1)).await));
        let (late, live) = (late.unwrap(), live.unwrap());
        expire(&t.redis, "semaphore", &late).await;
        live.extend().await.unwrap();
        let next = held(two.try_acquire(permits(1)).await).expect("the late one's place is free");
        assert!(matches!(late.extend().await, Err(Error::Lost(Lost::Gone))));
        assert_eq!(late.release().await.unwrap(), Released::Lapsed);
        assert!(held(two.try_acquire(permits(1)).await).is_none(), "the late release freed another's permit");
        for guard in [live, next] {
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
        }
    }

    async fn a_dead_holder_of_permits_is_followed(t: TestRedis) {
        let one = semaphore(&t.redis, 1);
        let dead = held(one.try_acquire(permits(1)).await).unwrap();
        let next = later({ let one = one.clone(); async move { one.acquire(permits(1), PATIENCE).await } });
        queued(&t.redis, "semaphore", 1).await;
        expire(&t.redis, "semaphore", &dead).await;
        assert!(next.await.unwrap().fence().unwrap() > dead.fence().unwrap());
    }

    async fn patience_of_permits_ends_and_leaves_no_trace(t: TestRedis) {
        let locks = locks(&t.redis);
        let one = locks.semaphore("a", permits(1));
        let holder = held(one.try_acquire(permits(1)).await).unwrap();
        assert!(held(one.acquire(permits(1), Duration::from_millis(30)).await).is_none());
        let quitter = tokio::spawn({ let one = one.clone(); async move { held(one.acquire(permits(1), PATIENCE).await) } });
        queued(&t.redis, "semaphore", 1).await;
        quitter.abort();
        assert!(quitter.await.is_err());
        locks.close().await;
        queued(&t.redis, "semaphore", 0).await;
        drop(holder);
        locks.close().await;
        assert!(t.keys().await.iter().all(|key| key.ends_with(":f")), "{:?}", t.keys().await);
    }

    async fn readers_share_and_a_writer_is_alone(t: TestRedis) {
        let lock = locks(&t.redis).rw_lock("a");
        let writer = held(lock.try_write().await).unwrap();
        assert!(held(lock.try_read().await).is_none() && held(lock.try_write().await).is_none());
        let fence = writer.fence().unwrap();
        assert_eq!(writer.release().await.unwrap(), Released::InTime);
        let readers = [held(lock.try_read().await).unwrap(), held(lock.try_read().await).unwrap()];
        for reader in &readers {
            assert_eq!(reader.fence().unwrap(), fence, "a reader has the fence of the last writer");
        }
        assert!(held(lock.try_write().await).is_none());
        for reader in readers {
            assert_eq!(reader.release().await.unwrap(), Released::InTime);
        }
        assert!(held(lock.try_write().await).unwrap().fence().unwrap() > fence);
    }

    async fn a_waiting_writer_keeps_later_readers_out(t: TestRedis) {
        let lock = locks(&t.redis).rw_lock("a");
        let reader = held(lock.try_read().await).unwrap();
        let writer = write(&lock);
        queued(&t.redis, "rwlock", 1).await;
        assert!(held(lock.try_read().await).is_none(), "the writer starves");
        let readers = [read(&lock), read(&lock), read(&lock)];
        queued(&t.redis, "rwlock", 4).await;
        assert_eq!(reader.release().await.unwrap(), Released::InTime);
        let writer = writer.await.unwrap();
        queued(&t.redis, "rwlock", 3).await;
        assert_eq!(writer.release().await.unwrap(), Released::InTime);
        // All three are in at the same time.
        for reader in readers {
            assert!(reader.await.unwrap().fence().is_ok());
        }
    }

    /// One TTL for all readers would keep the dead one for as long as the other renews.
    async fn a_dead_reader_is_missed_after_its_own_lease(t: TestRedis) {
        let lock = locks(&t.redis).rw_lock("a");
        let writer = held(lock.try_write().await).unwrap();
        let _ = writer.release().await.unwrap();
        let readers = [held(lock.try_read().await).unwrap(), held(lock.try_read().await).unwrap()];
        let holders = key(&t.redis, "rwlock");
        let tokens: Vec<String> = t.redis.command("HKEYS", &[&holders], &Args::new()).await.unwrap();
        t.redis.command::<()>("HSET", &[&holders], &Args::new().bytes(&tokens[0]).bytes("1:1:1")).await.unwrap();
        let mut alive = Vec::new();
        for reader in readers {
            if reader.extend().await.is_ok() {
                alive.push(reader);
            }
        }
        assert_eq!(alive.len(), 1, "one died, the other renews");
        assert!(held(lock.try_write().await).is_none());
        assert_eq!(alive.remove(0).release().await.unwrap(), Released::InTime);
        let writer = held(lock.try_write().await).expect("nobody reads any more");
        assert_eq!(writer.release().await.unwrap(), Released::InTime);
    }

    async fn kinds_of_one_name_do_not_meet(t: TestRedis) {
        let locks = locks(&t.redis);
        let guards = [
            held(locks.try_lock("a").await),
            held(locks.semaphore("a", permits(1)).try_acquire(permits(1)).await),
            held(locks.rw_lock("a").try_write().await),
        ];
        assert!(guards.iter().all(Option::is_some));
        for key in t.keys().await {
            assert!(t.ttl_ms(&key).await > 0, "{key} is immortal");
        }
    }

    /// Readers and writers over two handles: a writer alone, no more permits than there are.
    async fn a_crowd_of_readers_and_writers_keeps_apart(t: TestRedis) {
        let (mine, other) = (locks(&t.redis), locks(&t.another().await));
        let inside = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..16_u32).map(|number| {
            let locks = if number % 2 == 0 { mine.clone() } else { other.clone() };
            let (lock, inside) = (locks.rw_lock("a"), inside.clone());
            tokio::spawn(async move {
                for _ in 0..8 {
                    let (guard, weight) = if number % 4 == 0 {
                        (held(lock.write(PATIENCE).await).unwrap(), 1_000)
                    } else {
                        (held(lock.read(PATIENCE).await).unwrap(), 1)
                    };
                    assert!(inside.fetch_add(weight, Ordering::SeqCst) + weight <= 1_000, "a writer is not alone");
                    tokio::task::yield_now().await;
                    inside.fetch_sub(weight, Ordering::SeqCst);
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
            })
        }).collect();
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
        for locks in [mine, other] {
            locks.close().await;
        }
        assert!(t.keys().await.iter().all(|key| key.ends_with(":f")), "{:?}", t.keys().await);
    }
}
