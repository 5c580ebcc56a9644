//! The loop that runs a handler for each job.

use crate::error::Error;
use crate::job::Job;
use crate::options::WorkerOptions;
use crate::outcome::{IntoOutcome, Outcome, Settled};
use crate::reader::{HeldJob, Reader};
use redis_patterns_core::{Backoff, telemetry};
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The wait after a failure that does not pass by itself.
const FAULT: Duration = Duration::from_secs(1);

/// A running worker, from [`Queue::run`](crate::Queue::run). Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Worker {
    stop: CancellationToken,
    task: Option<JoinHandle<Stopped>>,
}

/// What a worker did, told when it has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Jobs that are done.
    pub done: u64,
    /// Handler runs that failed.
    pub failed: u64,
    /// Jobs whose handler was cancelled by the stop and that went back to the queue.
    pub handed_back: u64,
    /// Jobs that went to another worker because the lease was lost.
    pub lost: u64,
}

impl Worker {
    pub(crate) fn start<H, F, O>(reader: Reader, options: &WorkerOptions, handler: H) -> Self
    where
        H: Fn(Job) -> F + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: IntoOutcome + 'static,
    {
        let stop = CancellationToken::new();
        let crew = Arc::new(Crew {
            handler,
            permits: Arc::new(Semaphore::new(options.concurrency)),
            give_up: CancellationToken::new(),
            max_failures: options.max_failures,
            backoff: options.backoff,
            timeout: options.timeout,
            tally: Tally::default(),
        });
        let task = tokio::spawn(run(reader, crew, stop.clone(), options.drain));
        Self { stop, task: Some(task) }
    }

    /// Stops: no job is fetched from now on, handlers that run are waited for up to
    /// [`drain`](WorkerOptions::drain), and what is left goes back to the front of the queue.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stop goes on.
    pub async fn stop(mut self) -> Stopped {
        self.stop.cancel();
        match self.task.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => Stopped::default(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Crew<H> {
    handler: H,
    permits: Arc<Semaphore>,
    give_up: CancellationToken,
    max_failures: u32,
    backoff: Backoff,
    timeout: Option<Duration>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
    handed_back: AtomicU64,
    lost: AtomicU64,
}

impl Tally {
    fn report(&self) -> Stopped {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stopped {
            done: read(&self.done),
            failed: read(&self.failed),
            handed_back: read(&self.handed_back),
            lost: read(&self.lost),
        }
    }
}

async fn run<H, F, O>(reader: Reader, crew: Arc<Crew<H>>, stop: CancellationToken, drain: Duration) -> Stopped
where
    H: Fn(Job) -> F + Send + Sync + 'static,
    F: Future<Output = O> + Send + 'static,
    O: IntoOutcome + 'static,
{
    let running = TaskTracker::new();
    loop {
        let Some(mut permits) = free_hands(&crew.permits, &stop).await else { break };
        let jobs = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            jobs = reader.next_many(permits.number) => jobs,
        };
        match jobs {
            Ok(jobs) => {
                for job in jobs {
                    let permit = permits.split();
                    let crew = crew.clone();
                    running.spawn(async move {
                        crew.work(job).await;
                        drop(permit);
                    });
                }
            }
            Err(error) => {
                tracing::error!(target: telemetry::TARGET, %error, "cannot fetch jobs");
                tokio::time::sleep(FAULT).await;
            }
        }
    }
    reader.stop_fetching().await;
    running.close();
    if tokio::time::timeout(drain, running.wait()).await.is_err() {
        crew.give_up.cancel();
        running.wait().await;
    }
    if let Err(error) = reader.close().await {
        tracing::warn!(target: telemetry::TARGET, %error, "the lease could not be ended; it ends by itself");
    }
    crew.tally.report()
}

/// Permits for as many jobs as can run now; waits for one.
struct Permits {
    number: NonZeroUsize,
    all: Option<OwnedSemaphorePermit>,
}

impl Permits {
    fn split(&mut self) -> Option<OwnedSemaphorePermit> {
        self.all.as_mut()?.split(1)
    }
}

async fn free_hands(permits: &Arc<Semaphore>, stop: &CancellationToken) -> Option<Permits> {
    let mut all = tokio::select! {
        biased;
        () = stop.cancelled() => return None,
        permit = permits.clone().acquire_owned() => permit.ok()?,
    };
    let more = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
    if let Ok(more) = permits.clone().try_acquire_many_owned(more) {
        all.merge(more);
    }
    let number = NonZeroUsize::new(all.num_permits())?;
    Some(Permits { number, all: Some(all) })
}

impl<H, F, O> Crew<H>
where
    H: Fn(Job) -> F + Send + Sync + 'static,
    F: Future<Output = O> + Send + 'static,
    O: IntoOutcome + 'static,
{
    async fn failed(&self, held: HeldJob, delay: Duration, reason: String) -> Result<Settled, Error> {
        count(&self.tally.failed);
        if held.failures() + 1 >= self.max_failures {
            return held.bury(reason).await;
        }
        tracing::debug!(target: telemetry::TARGET, job = %held.id(), ?delay, "the job failed and runs again");
        held.retry_in(delay).await
    }

    async fn work(&self, held: HeldJob) {
        let handled = caught(async { (self.handler)(held.job().clone()).await.into_outcome() });
        let handled = in_time(self.timeout, handled);
        let outcome = tokio::select! {
            biased;
            () = held.lost() => return count(&self.tally.lost),
            () = self.give_up.cancelled() => {
                count(&self.tally.handed_back);
                // What is written about the result is in the reader's own log.
                let _ = held.release().await;
                return;
            }
            outcome = handled => outcome,
        };
        let settled = match outcome {
            Outcome::Done => {
                count(&self.tally.done);
                held.ack().await
            }
            Outcome::Retry { reason } => {
                let delay = self.backoff.delay(held.failures());
                self.failed(held, delay, reason).await
            }
            Outcome::RetryIn { delay, reason } => self.failed(held, delay, reason).await,
            Outcome::Dead { reason } => {
                count(&self.tally.failed);
                held.bury(reason).await
            }
        };
        if let Ok(Settled::Lost) = settled {
            count(&self.tally.lost);
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What the handler says, or that it took too long.
async fn in_time(timeout: Option<Duration>, handled: impl Future<Output = Outcome>) -> Outcome {
    let Some(timeout) = timeout else { return handled.await };
    let late = |_| Outcome::Retry { reason: format!("the handler took longer than {timeout:?}") };
    tokio::time::timeout(timeout, handled).await.unwrap_or_else(late)
}

/// What the handler says, or that it panicked.
async fn caught(future: impl Future<Output = Outcome>) -> Outcome {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(outcome)) => Poll::Ready(outcome),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Outcome::Retry { reason: "the handler panicked".to_owned() }),
    })
    .await
}
