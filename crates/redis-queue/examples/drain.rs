//! Drains a queue that was filled before and prints how fast it went:
//! `cargo run --release -p redis-queue --example drain -- redis://127.0.0.1:6379 500000 512`.

use redis_queue::{Namespace, Queue, Redis, WorkerOptions};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "redis://127.0.0.1:6379".into());
    let jobs: u64 = args.next().map_or(Ok(500_000), |jobs| jobs.parse())?;
    let concurrency: usize = args.next().map_or(Ok(512), |jobs| jobs.parse())?;
    let redis = Redis::builder(&url).namespace(Namespace::new("drain")?).connect().await?;
    let queue = Queue::new(redis.clone(), format!("drain-{}", std::process::id()));

    let payload = [b'x'; 100];
    let started = Instant::now();
    for _ in 0..jobs / 1_000 {
        if !queue.push_many([payload; 1_000]).await?.is_accepted() {
            return Err("the queue is full".into());
        }
    }
    report("pushed", jobs, started.elapsed());

    let done = Arc::new(AtomicU64::new(0));
    let counted = done.clone();
    let options =
        WorkerOptions::default().concurrency(NonZeroUsize::new(concurrency).unwrap_or(NonZeroUsize::MIN));
    let started = Instant::now();
    let worker = queue
        .run(options, move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        })
        .await?;
    while done.load(Ordering::Relaxed) < jobs {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stopped = worker.stop().await;
    report("drained and acknowledged", stopped.done, started.elapsed());
    redis.close().await;
    Ok(())
}

fn report(what: &str, jobs: u64, took: Duration) {
    println!("{what}: {jobs} jobs in {took:.2?}, {:.0} jobs/s", jobs as f64 / took.as_secs_f64());
}
