//! Many waiters for one lock that is held for 1 ms: how evenly, how soon, and at what cost in
//! requests each is served. Beside it the polling mode, and another lock crate, which polls too.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockGuard, LockOptions, Locks};
use redis_patterns_core::{Args, BootInstant};
use redis_patterns_testkit::harness::TestRedis;
use rslock::{Lock, LockManager};
use std::time::Duration;

const WAITERS: usize = 64;
const HOLD: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
enum How {
    Ours(Locks),
    Rslock(LockManager),
}

enum Held {
    Ours(LockGuard),
    Rslock(LockManager, Lock),
}

impl How {
    async fn take(&self) -> Held {
        match self {
            Self::Ours(locks) => Held::Ours(locks.lock("hot", PATIENCE).await.unwrap().acquired().unwrap()),
            Self::Rslock(manager) => {
                let lock = manager.acquire_no_guard("rslock", PATIENCE).await.unwrap();
                Held::Rslock(manager.clone(), lock)
            }
        }
    }
}

impl Held {
    async fn release(self) {
        match self {
            Self::Ours(guard) => drop(guard.release().await.unwrap()),
            Self::Rslock(manager, lock) => manager.unlock(&lock).await,
        }
    }
}

/// One waiter: how long each of its waits took.
async fn worker(how: How, run: Duration) -> Vec<Duration> {
    let started = BootInstant::now();
    let mut waits = Vec::new();
    while started.elapsed() < run {
        let asked = BootInstant::now();
        let held = how.take().await;
        waits.push(asked.elapsed());
        tokio::time::sleep(HOLD).await;
        held.release().await;
        tokio::time::sleep(HOLD).await;
    }
    waits
}

/// Requests that clients have sent so far; what scripts call is not among them: ours are scripts, and
/// the scripts of the other crate call no SET.
async fn calls(t: &TestRedis, how: &How) -> u64 {
    let info: String = t.redis.keyless("INFO", &Args::new().word("commandstats")).await.unwrap();
    let of = |name: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":calls="));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    let names: &[&str] = match how {
        How::Ours(_) => &["evalsha", "eval", "ssubscribe", "sunsubscribe"],
        How::Rslock(_) => &["evalsha", "eval", "set"],
    };
    names.iter().map(|name| of(&format!("cmdstat_{name}"))).sum()
}

/// Contends once, so that connections are made and scripts are known.
async fn warm_up(how: &How) {
    let held = how.take().await;
    let waiting = tokio::spawn({
        let how = how.clone();
        async move { how.take().await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    held.release().await;
    waiting.await.unwrap().release().await;
}

async fn measure(t: &TestRedis, name: &str, how: How, run: Duration) {
    warm_up(&how).await;
    let before = calls(t, &how).await;
    let workers: Vec<_> = (0..WAITERS).map(|_| tokio::spawn(worker(how.clone(), run))).collect();
    let (mut waits, mut served) = (Vec::new(), Vec::new());
    for worker in workers {
        let of_one = worker.await.unwrap();
        served.push(of_one.len());
        waits.extend(of_one);
    }
    let requests = calls(t, &how).await - before;
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
    let options = LockOptions::new().lease(Duration::from_secs(30)).unwrap();
    let queued = How::Ours(Locks::new(t.another().await, options.clone()));
    let polled = options.polled_every(Duration::from_millis(200)).unwrap();
    let polled = How::Ours(Locks::new(t.another().await, polled));
    let rslock = How::Rslock(LockManager::new(vec![t.url()]));
    let all =
        [("queue, handed over", queued), ("polled, 0 to 200 ms", polled), ("rslock, 0 to 200 ms", rslock)];
    for (name, how) in all {
        measure(&t, name, how, Duration::from_secs(6)).await;
    }
    t.delete_keys().await;
}
