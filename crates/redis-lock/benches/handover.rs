//! Many waiters for one lock that is held for 1 ms: how evenly, how soon, and at what cost in
//! requests each is served. Beside it the same by polling `try_lock` after a random pause of up to
//! 200 ms, which is how lock crates without a queue wait.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockGuard, LockOptions, Locks};
use redis_patterns_core::{Args, BootInstant};
use redis_patterns_testkit::harness::TestRedis;
use std::time::Duration;

const WAITERS: usize = 64;
const HOLD: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
enum How {
    Queue,
    Poll,
}

async fn take(locks: &Locks, how: How) -> LockGuard {
    if let How::Queue = how {
        return locks.lock("hot", PATIENCE).await.unwrap().acquired().unwrap();
    }
    loop {
        if let Some(guard) = locks.try_lock("hot").await.unwrap().acquired() {
            return guard;
        }
        tokio::time::sleep(Duration::from_millis(200).mul_f64(fastrand::f64())).await;
    }
}

/// One waiter: how long each of its waits took.
async fn worker(locks: Locks, how: How, run: Duration) -> Vec<Duration> {
    let started = BootInstant::now();
    let mut waits = Vec::new();
    while started.elapsed() < run {
        let asked = BootInstant::now();
        let guard = take(&locks, how).await;
        waits.push(asked.elapsed());
        tokio::time::sleep(HOLD).await;
        let _ = guard.release().await.unwrap();
        tokio::time::sleep(HOLD).await;
    }
    waits
}

/// Script calls that the server has answered so far.
async fn calls(t: &TestRedis) -> u64 {
    let info: String = t.redis.keyless("INFO", &Args::new().word("commandstats")).await.unwrap();
    let of = |name: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":calls="));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    of("cmdstat_evalsha") + of("cmdstat_eval") + of("cmdstat_ssubscribe") + of("cmdstat_sunsubscribe")
}

/// Contends once, so that connections are made and scripts are known.
async fn warm_up(locks: &Locks, how: How) {
    let guard = take(locks, how).await;
    let waiting = tokio::spawn({
        let locks = locks.clone();
        async move { take(&locks, how).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _ = guard.release().await.unwrap();
    let _ = waiting.await.unwrap().release().await.unwrap();
}

async fn measure(t: &TestRedis, name: &str, how: How, run: Duration) {
    let options = LockOptions::new().lease(Duration::from_secs(30)).unwrap();
    let locks = Locks::new(t.another().await, options);
    warm_up(&locks, how).await;
    let before = calls(t).await;
    let workers: Vec<_> = (0..WAITERS).map(|_| tokio::spawn(worker(locks.clone(), how, run))).collect();
    let (mut waits, mut served) = (Vec::new(), Vec::new());
    for worker in workers {
        let of_one = worker.await.unwrap();
        served.push(of_one.len());
        waits.extend(of_one);
    }
    let requests = calls(t).await - before;
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!(
        "| {name} | {:.0} | {:.2} | {:.1} / {:.1} / {:.1} | {} / {} |",
        waits.len() as f64 / run.as_secs_f64(),
        requests as f64 / waits.len() as f64,
        at(0.5),
        at(0.99),
        at(1.0),
        served.iter().min().unwrap(),
        served.iter().max().unwrap()
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let Some(t) = TestRedis::standalone().await else { return };
    println!("{WAITERS} waiters, one process, {HOLD:?} hold");
    println!("| how | acquisitions/s | requests each | wait p50 / p99 / max ms | least / most served |");
    println!("|---|---|---|---|---|");
    for (name, how) in [("queue, handed over", How::Queue), ("poll 0 to 200 ms", How::Poll)] {
        measure(&t, name, how, Duration::from_secs(6)).await;
    }
    t.delete_keys().await;
}
