//! What every downstream system must show: a late holder's write is refused there.

#![allow(clippy::unwrap_used)]

use redis_lock::{FenceStore, FencingToken, LockGuard, LockOptions, Locks, Namespace, Redis, TryLock};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use std::time::Duration;

/// The name of the lock and of what it guards.
pub(crate) const NAME: &str = "stock";
const PATIENCE: Duration = Duration::from_secs(20);

/// A count kept in a system that checks fences.
pub(crate) trait Stock: FenceStore<Error: Send> + Sized + 'static {
    fn open(place: &str, redis: &Redis) -> impl Future<Output = Self> + Send;
    fn read(&self) -> impl Future<Output = i64> + Send;
    /// Writes the count under a fence; answers whether it was admitted.
    fn write(&self, fence: FencingToken, count: i64) -> impl Future<Output = bool> + Send;
}

fn lock_key(redis: &Redis) -> Key {
    redis.namespace().key("lock", &Tag::of(NAME))
}

fn locks(redis: &Redis, lease: Duration) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(lease).unwrap())
}

async fn take(redis: &Redis) -> LockGuard {
    locks(redis, Duration::from_secs(60)).try_lock(NAME).await.unwrap().acquired().expect("the lock is free")
}

async fn expire(redis: &Redis) {
    redis.command::<()>("PEXPIREAT", &[&lock_key(redis)], &Args::new().int(1)).await.unwrap();
}

/// A holder is stopped (SIGSTOP) between reading and writing, for longer than its lease. Another
/// takes the lock and writes. The first goes on with what it had read: its write must be refused.
pub(crate) async fn a_stopped_holder_is_refused<S: Stock>(t: &TestRedis, place: &str) {
    let store = S::open(place, &t.redis).await;
    let first = FencingToken::new(1).unwrap();
    assert!(store.write(first, 10).await);
    let environment =
        [("LOCK_URL", t.url()), ("LOCK_NAMESPACE", t.redis.namespace().as_str()), ("LOCK_PLACE", place)];
    let mut worker = Worker::spawn_self_test("worker", &environment).unwrap();
    assert_eq!(worker.next_line(PATIENCE).await.unwrap(), "read 10");
    worker.stop().unwrap();
    let lock = lock_key(&t.redis);
    let gone = async || t.redis.command::<i64>("EXISTS", &[&lock], &Args::new()).await.unwrap() == 0;
    eventually("the stopped holder has lost the lock", gone).await;
    let guard = take(&t.redis).await;
    assert!(store.write(guard.fence().unwrap(), store.read().await - 3).await);
    worker.send_line("write").await.unwrap();
    worker.cont().unwrap();
    assert_eq!(worker.next_line(PATIENCE).await.unwrap(), "refused");
    assert_eq!(store.read().await, 7, "the late holder's write went through");
}

/// The holder that is stopped.
pub(crate) fn worker<S: Stock>() {
    if !process::is_worker("worker") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let of = |name| std::env::var(name).unwrap();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(
        async {
            let namespace = Namespace::new(&of("LOCK_NAMESPACE")).unwrap();
            let redis = Redis::builder(&of("LOCK_URL")).namespace(namespace).connect().await.unwrap();
            let store = S::open(&of("LOCK_PLACE"), &redis).await;
            let locks = locks(&redis, Duration::from_secs(1));
            let guard = locks.try_lock(NAME).await.unwrap().acquired().unwrap();
            // Checked here, used below: whatever happens between the two is the point.
            let fence = guard.fence().unwrap();
            let count = store.read().await;
            process::say(&format!("read {count}"));
            lines.recv().unwrap();
            let admitted = store.write(fence, count - 1).await;
            process::say(if admitted { "admitted" } else { "refused" });
        },
    );
}

/// Late and new holder by hand: the late one writes between the new one's read and write. Its fence
/// is lower, yet nothing higher has been seen by then, unless the new holder sealed its own.
pub(crate) async fn only_a_seal_stops_a_write_between_read_and_write<S: Stock>(t: &TestRedis, place: &str) {
    for sealed in [false, true] {
        let store = S::open(place, &t.redis).await;
        let late = take(&t.redis).await;
        let late_fence = late.fence().unwrap();
        assert!(store.write(late_fence, 10).await);
        let late_read = store.read().await;
        expire(&t.redis).await;

        let locks = locks(&t.redis, Duration::from_secs(60));
        let new = if sealed {
            locks.try_lock_sealed(NAME, &store).await.unwrap().acquired().unwrap()
        } else {
            take(&t.redis).await
        };
        let new_read = store.read().await;
        let late_admitted = store.write(late_fence, late_read - 1).await;
        assert!(store.write(new.fence().unwrap(), new_read - 1).await);
        let _ = new.release().await.unwrap();

        let updates = 1 + i64::from(late_admitted);
        let lost = updates - (10 - store.read().await);
        assert_eq!(lost, i64::from(!sealed), "sealed: {sealed}, the late write admitted: {late_admitted}");
    }
}

/// Redis loses everything and its clock is far behind what the store has seen.
pub(crate) async fn a_lock_whose_fence_was_lost_heals<S: Stock>(t: &TestRedis, place: &str) {
    let store = S::open(place, &t.redis).await;
    let seen = FencingToken::new((1 << 53) - 100).unwrap();
    assert!(store.write(seen, 5).await);
    let locks = locks(&t.redis, Duration::from_secs(60));
    // Without the seal: refused, which is safe, for ever, which is an outage.
    let guard = take(&t.redis).await;
    assert!(!store.write(guard.fence().unwrap(), 4).await);
    let _ = guard.release().await.unwrap();
    let TryLock::Acquired(guard) = locks.try_lock_sealed(NAME, &store).await.unwrap() else {
        panic!("the lock is free");
    };
    assert!(guard.fence().unwrap() > seen);
    assert!(store.write(guard.fence().unwrap(), 4).await);
    guard.extend().await.unwrap();
    let last = guard.fence().unwrap();
    let _ = guard.release().await.unwrap();
    let next = take(&t.redis).await;
    assert!(next.fence().unwrap() > last, "the raised fence is remembered");
}

/// The holder's own next write, and a hundred holders at once: the highest stays.
pub(crate) async fn equal_fences_pass_and_the_highest_stays<S: Stock>(t: &TestRedis, place: &str) {
    let store = std::sync::Arc::new(S::open(place, &t.redis).await);
    let fence = |number| FencingToken::new(number).unwrap();
    assert!(store.write(fence(1), 1).await);
    assert!(store.write(fence(1), 2).await);
    let tasks: Vec<_> = (0..100_i64)
        .map(|number| {
            let store = store.clone();
            // Each number once, in an order of no meaning.
            let number = (number * 37) % 100 + 1;
            tokio::spawn(async move { store.write(fence(number.unsigned_abs()), number).await })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += u32::from(task.await.unwrap());
    }
    assert!(admitted >= 1);
    assert_eq!(store.read().await, 100, "a lower fence wrote after the highest");
    assert!(!store.write(fence(99), 0).await);
}
