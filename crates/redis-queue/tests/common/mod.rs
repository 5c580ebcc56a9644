//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use redis_patterns_core::{Args, Key, Redis, Tag};
use redis_queue::{HeldJob, Queue, Reader, WorkerOptions};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Far above what anything here takes.
pub const SOON: Duration = Duration::from_secs(20);

pub fn jobs(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// A key of the queue `name`.
pub fn key(redis: &Redis, name: &str, part: &str) -> Key {
    redis.namespace().part("q", &Tag::of(name), part)
}

/// Sends a command about one key.
pub async fn ask<R: redis_patterns_core::FromReply>(
    redis: &Redis,
    command: &'static str,
    key: &Key,
    args: Args,
) -> R {
    redis.command(command, &[key], &args).await.unwrap()
}

/// The incarnations that are registered.
pub async fn registered(redis: &Redis, name: &str) -> Vec<String> {
    ask(redis, "ZRANGE", &key(redis, name, "leases"), Args::new().int(0).int(-1)).await
}

/// Ends every lease by the server's clock, as if its time had passed.
pub async fn expire_leases(redis: &Redis, name: &str) {
    for incarnation in registered(redis, name).await {
        let args = Args::new().word("XX").int(1).bytes(incarnation);
        ask::<()>(redis, "ZADD", &key(redis, name, "leases"), args).await;
    }
}

/// How many jobs the readers of `name` hold by the server's count.
pub async fn processing(redis: &Redis, name: &str) -> u64 {
    let mut sum = 0;
    for incarnation in registered(redis, name).await {
        let list = key(redis, name, &format!("processing.{incarnation}"));
        sum += ask::<u64>(redis, "LLEN", &list, Args::new()).await;
    }
    sum
}

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < SOON, "not within {SOON:?}: {what}");
        // sleep: between two looks at the condition.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next job, within a deadline.
pub async fn next(reader: &Reader) -> HeldJob {
    tokio::time::timeout(SOON, reader.next()).await.expect("a job in time").unwrap().expect("an open reader")
}

pub async fn reader(queue: &Queue) -> Reader {
    queue.reader(WorkerOptions::default()).await.unwrap()
}

pub fn text(job: &HeldJob) -> String {
    String::from_utf8(job.payload().to_vec()).unwrap()
}
