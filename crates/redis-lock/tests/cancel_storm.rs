//! Ten thousand calls and guards dropped at random points leave no lock behind.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockOptions, Locks, Redis};
use redis_patterns_core::BootInstant;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const TASKS: u64 = 20;
const CALLS: u64 = 500;

#[derive(Default)]
struct Counts {
    cancelled: AtomicU32,
    taken: AtomicU32,
    release_cancelled: AtomicU32,
}

/// One client that gives up after a random time, from before the send to after the answer.
async fn storm(locks: Locks, task: u64, counts: Arc<Counts>) {
    for call in 0..CALLS {
        let random = (task * CALLS + call).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let name = format!("lock-{}", random % 200);
        let patience = Duration::from_micros(random % 4_000);
        // Every third waits for its turn: it may be dropped in the queue, or as it is given the lock.
        let asked = async {
            if call.is_multiple_of(3) {
                locks.lock(&name, patience).await
            } else {
                locks.try_lock(&name).await
            }
        };
        let Ok(answer) = tokio::time::timeout(patience, asked).await else {
            counts.cancelled.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let Some(guard) = answer.unwrap().acquired() else { continue };
        counts.taken.fetch_add(1, Ordering::Relaxed);
        // Every other guard is dropped; the release of the rest is given up half way.
        if random.is_multiple_of(2) {
            let given_up = tokio::time::timeout(patience / 4, guard.release()).await.is_err();
            counts.release_cancelled.fetch_add(u32::from(given_up), Ordering::Relaxed);
        }
    }
}

on_every_topology! {
    async fn no_lock_is_left(t: TestRedis) {
        // Several connections, so that a release could overtake the request it is for.
        let redis = Redis::builder(t.url())
            .namespace(t.redis.namespace().clone())
            .connections(NonZeroUsize::new(4).unwrap())
            .command_deadline(Duration::from_secs(20))
            .connect()
            .await
            .unwrap();
        let locks = Locks::new(redis.clone(), LockOptions::new().lease(Duration::from_secs(3_600)).unwrap());
        let counts = Arc::new(Counts::default());
        let tasks: Vec<_> =
            (0..TASKS).map(|task| tokio::spawn(storm(locks.clone(), task, counts.clone()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let started = BootInstant::now();
        locks.close().await;
        let drained = started.elapsed();
        let left: Vec<_> = t.keys().await.into_iter().filter(|key| !key.ends_with(":f")).collect();
        println!(
            "{} calls: {:?} given up, {:?} taken, {:?} releases given up; drained in {drained:?}, {} left",
            TASKS * CALLS, counts.cancelled, counts.taken, counts.release_cancelled, left.len()
        );
        assert_eq!(left, Vec::<String>::new());
        assert!(counts.cancelled.load(Ordering::Relaxed) > 100, "too few were given up");
        assert!(counts.taken.load(Ordering::Relaxed) > 100, "too few were answered");
        assert!(counts.release_cancelled.load(Ordering::Relaxed) > 10, "too few releases were given up");
        redis.close().await;
    }
}
