//! A worker: a process that takes orders from the queue and ships them.

use crate::Fallible;
use crate::child::{Orders, say};
use crate::run::Run;
use crate::settings::{
    FENCE_MEMORY, LAMP, LOCK_LEASE, PATIENCE, QUEUE, SOFA, WORKER_BLOCK, WORKER_JOBS, WORKER_LEASE,
};
use crate::stock::{Order, Shipment, Stock};
use redis_lock::{LockGuard, LockOptions, Locks, TryLock};
use redis_patterns_core::Redis;
use redis_queue::{Job, Queue, WorkerOptions};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// How a worker works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It ships what it gets.
    Diligent,
    /// It stands still in the middle of the run's first [`SOFA`] and first [`LAMP`], and says so.
    Stalling,
}

/// What a job needs.
#[derive(Clone)]
struct Bench {
    run: Run,
    stock: Stock,
    locks: Locks,
    habit: Habit,
}

/// The worker's main: until it is told to stop, or the process that started it is gone.
pub(crate) async fn run(habit: Habit) -> Fallible<ExitCode> {
    let run = Run::inherited()?;
    let orders = Orders::listen();
    let redis = run.connect().await?;
    let stock = Stock::open(&run.database())?;
    let bench = Bench { run, stock, locks: locks(&redis)?, habit };
    let options = WorkerOptions::default()
        .concurrency(WORKER_JOBS)
        .lease(WORKER_LEASE)
        .block(WORKER_BLOCK)
        .drain(Duration::from_secs(2));
    let locks = bench.locks.clone();
    let handler = move |job: Job| {
        let bench = bench.clone();
        async move { bench.fulfil(&job).await }
    };
    let worker = Queue::new(redis.clone(), QUEUE).run(options, handler).await?;
    say("ready");
    orders.wait_for("stop").await;
    let stopped = worker.stop().await;
    locks.close().await;
    redis.close().await;
    say(&format!("stopped {}", stopped.done));
    Ok(ExitCode::SUCCESS)
}

/// The locks around the stock.
pub(crate) fn locks(redis: &Redis) -> Fallible<Locks> {
    let options = LockOptions::new().lease(LOCK_LEASE)?.fence_memory(FENCE_MEMORY)?;
    Ok(Locks::new(redis.clone(), options))
}

/// The name of the lock around one item.
pub(crate) fn lock_name(item: &str) -> String {
    format!("stock:{item}")
}

impl Bench {
    /// Ships one order. An error sends the job back to the queue.
    async fn fulfil(&self, job: &Job) -> Fallible<()> {
        let order: Order = serde_json::from_slice(job.payload())?;
        let guard = self.lock(&order.item).await?;
        self.maybe_stall(SOFA, &order).await?;
        let shipment = self.stock.ship(&order, guard.fence()?, job.delivery()).await?;
        // In time or lapsed, the fence has decided.
        let _ = guard.release().await?;
        if shipment == Shipment::Stale {
            return Err("the lock was lost before the write".into());
        }
        self.maybe_stall(LAMP, &order).await
    }

    /// Waits for the lock on one item.
    async fn lock(&self, item: &str) -> Fallible<LockGuard> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.locks.try_lock(lock_name(item)).await? {
                TryLock::Acquired(guard) => return Ok(guard),
                TryLock::Busy { retry_after } if Instant::now() < deadline => {
                    tokio::time::sleep(retry_after.min(Duration::from_millis(20))).await;
                }
                _ => return Err(format!("the lock on {item} was not to be had").into()),
            }
        }
    }

    /// For the act in which a worker is killed: stands still on the first of this item that comes
    /// here in the whole run, and says so.
    async fn maybe_stall(&self, item: &str, order: &Order) -> Fallible<()> {
        if self.habit == Habit::Stalling && order.item == item && self.run.is_first(item)? {
            say(&format!("holds {}", order.id));
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
