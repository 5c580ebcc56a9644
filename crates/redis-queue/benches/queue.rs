//! Figures of the queue, printed: `cargo xtask bench redis-queue`, or
//! `REDIS_PATTERNS_STANDALONE_URL=redis://127.0.0.1:6379 cargo bench -p redis-queue`.
//!
//! Every figure is the best and the median of five runs; jobs have 100 bytes and count when the
//! server has answered their acknowledgement.

use redis_patterns_core::{Args, Tag};
use redis_queue::{Namespace, Queue, Redis, WorkerOptions};
use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const RUNS: usize = 5;
const PAYLOAD: [u8; 100] = [b'x'; 100];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(figures())
}

async fn figures() -> Outcome<()> {
    let url =
        std::env::var("REDIS_PATTERNS_STANDALONE_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into());
    let redis = Redis::builder(&url).namespace(Namespace::new("bench")?).connect().await?;
    let jobs = 200_000;
    rate("bulk push, 1,000 a call", jobs, async |queue: &Queue| timed(fill(queue, jobs)).await, &redis)
        .await?;
    for concurrency in [1, 16, 128, 512, 1_000] {
        let jobs = if concurrency < 16 { 5_000 } else { jobs };
        let run = async |queue: &Queue| {
            fill(queue, jobs).await?;
            drain(queue, jobs, concurrency).await
        };
        rate(&format!("drain, concurrency {concurrency}"), jobs, run, &redis).await?;
    }
    for backlog in [1_000, 100_000, 1_000_000] {
        let queue = Queue::new(redis.clone(), format!("depth-{backlog}"));
        fill(&queue, backlog).await?;
        let part = backlog.min(20_000);
        let run = async |_: &Queue| {
            let spent = drain(&queue, part, 256).await?;
            fill(&queue, part).await?;
            Ok(spent)
        };
        rate(&format!("drain {part} at a backlog of {backlog}"), part, run, &redis).await?;
        memory(&redis, backlog).await?;
        clear(&redis).await?;
    }
    pickup(&url, &redis).await?;
    redis.close().await;
    Ok(())
}

async fn timed(work: impl Future<Output = Outcome<()>>) -> Outcome<Duration> {
    let started = Instant::now();
    work.await?;
    Ok(started.elapsed())
}

async fn fill(queue: &Queue, jobs: u64) -> Outcome<()> {
    for _ in 0..jobs.div_ceil(1_000) {
        if !queue.push_many([PAYLOAD; 1_000]).await?.is_accepted() {
            return Err("the queue is full".into());
        }
    }
    Ok(())
}

async fn drain(queue: &Queue, jobs: u64, concurrency: usize) -> Outcome<Duration> {
    let (done, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (counted, reached) = (done.clone(), enough.clone());
    let options = WorkerOptions::default().concurrency(NonZeroUsize::new(concurrency).ok_or("not zero")?);
    let started = Instant::now();
    let worker = queue
        .run(options, move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                reached.notify_one();
            }
            std::future::ready(())
        })
        .await?;
    enough.notified().await;
    let stopped = worker.stop().await;
    let spent = started.elapsed();
    // What was done beyond `jobs` while it stopped was done in the same time.
    Ok(spent.mul_f64(jobs as f64 / stopped.done.max(jobs) as f64))
}

async fn rate(
    what: &str,
    jobs: u64,
    run: impl AsyncFn(&Queue) -> Outcome<Duration>,
    redis: &Redis,
) -> Outcome<()> {
    let mut spans = Vec::new();
    for number in 0..RUNS {
        let queue = Queue::new(redis.clone(), format!("{what}-{number}"));
        spans.push(run(&queue).await?);
    }
    spans.sort();
    let per_second = |span: Duration| jobs as f64 / span.as_secs_f64();
    println!(
        "{what:<40} best {:>9.0} /s   median {:>9.0} /s   {:.2} us a job",
        per_second(spans[0]),
        per_second(spans[RUNS / 2]),
        spans[RUNS / 2].as_secs_f64() * 1e6 / jobs as f64
    );
    Ok(())
}

/// From a push on one connection to the start of its handler on another, the queue being idle.
async fn pickup(url: &str, redis: &Redis) -> Outcome<()> {
    let other = Redis::builder(url).namespace(Namespace::new("bench")?).connect().await?;
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_| {
        let _ = started.send(Instant::now());
        std::future::ready(())
    };
    let worker = Queue::new(other.clone(), "pickup").run(WorkerOptions::default(), handler).await?;
    let queue = Queue::new(redis.clone(), "pickup");
    let mut spans = Vec::new();
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(4)).await;
        let pushed = Instant::now();
        if queue.push(PAYLOAD).await?.is_accepted() {
            spans.push(starts.recv().await.ok_or("the worker ended")? - pushed);
        }
    }
    spans.sort();
    println!("idle pickup: p50 {:?}, p99 {:?}", spans[spans.len() / 2], spans[spans.len() * 99 / 100]);
    worker.stop().await;
    other.close().await;
    Ok(())
}

/// Bytes of the server's memory for each job that waits.
async fn memory(redis: &Redis, jobs: u64) -> Outcome<()> {
    let key = redis.namespace().part("q", &Tag::of(format!("depth-{jobs}")), "pending");
    let args = Args::new().word("USAGE").bytes(key.as_bytes()).word("SAMPLES").int(0);
    let bytes: u64 = redis.keyless("MEMORY", &args).await?;
    println!("memory of a job that waits: {} bytes", bytes / jobs);
    Ok(())
}

async fn clear(redis: &Redis) -> Outcome<()> {
    redis.keyless::<()>("FLUSHDB", &Args::new()).await?;
    Ok(())
}
