//! What metrics say; no name of a lock is among it.

#![allow(clippy::unwrap_used)]

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use redis_lock::{LockOptions, Locks, Released};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::TestRedis;
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Each metric with its labels: a counter's value, or how many values a histogram has.
fn read(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let name = key.key().name().strip_prefix("redis_patterns_lock_").unwrap().to_owned();
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => panic!("there is no gauge"),
        };
        *all.entry(format!("{name} {}", labels.join(","))).or_default() += value;
    }
    all
}

/// One test for the process: the recorder is the process's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_waits_holds_margins_losses_and_leaks_are_counted() {
    let Some(t) = TestRedis::standalone().await else { return };
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let locks = Locks::new(t.redis.clone(), LockOptions::new().lease(MINUTE).unwrap());

    let guard = locks.try_lock("secret-name").await.unwrap().acquired().unwrap();
    assert!(locks.try_lock("secret-name").await.unwrap().acquired().is_none());
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    let gone = locks.lock("secret-name", MINUTE).await.unwrap().acquired().unwrap();
    let lock = t.redis.namespace().key("lock", &Tag::of("secret-name"));
    t.redis.command::<()>("DEL", &[&lock], &Args::new()).await.unwrap();
    assert!(gone.extend().await.is_err() && gone.extend().await.is_err());
    drop(gone);
    let revoked = locks.try_lock("secret-name").await.unwrap().acquired().unwrap();
    let _ = locks.force_release("secret-name", revoked.fence().unwrap()).await.unwrap();
    assert!(revoked.extend().await.is_err());
    assert_eq!(revoked.release().await.unwrap(), Released::Lapsed);
    locks.close().await;

    // A handle that is closed before its guard is dropped leaves the lock to its lease.
    let closed = Locks::new(t.another().await, LockOptions::new().lease(MINUTE).unwrap());
    let leaks = closed.try_lock("secret-name").await.unwrap().acquired().unwrap();
    let redis = t.another().await;
    let other = Locks::new(redis.clone(), LockOptions::new().lease(MINUTE).unwrap());
    let left = other.try_lock("secret-other").await.unwrap().acquired().unwrap();
    redis.close().await;
    drop(left);
    other.close().await;
    assert_eq!(leaks.release().await.unwrap(), Released::InTime);

    let seen = read(&snapshotter);
    let expected = [
        ("requests_total acquired", 5),
        ("requests_total busy", 1),
        ("wait_seconds acquired", 5),
        ("wait_seconds busy", 1),
        ("hold_seconds ", 5),
        // Not for the two that were lost.
        ("margin_seconds ", 3),
        ("lost_total gone", 1),
        ("lost_total revoked", 1),
        ("leaked_total ", 1),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(seen, expected);
    t.delete_keys().await;
}
