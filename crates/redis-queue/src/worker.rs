//! The loop that runs a handler for each job.

use crate::error::Error;
use crate::handler::Handler;
use crate::options::WorkerOptions;
use crate::outcome::{Outcome, Settled};
use crate::reader::{HeldJob, Reader};
use crate::telemetry;
use redis_patterns_core::Backoff;
use redis_patterns_core::telemetry::TARGET;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

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
    pub(crate) fn start(reader: Reader, options: &WorkerOptions, handler: impl Handler) -> Self {
        let stop = CancellationToken::new();
        let crew = Arc::new(Crew {
            handler,
            permits: Arc::new(Semaphore::new(options.concurrency)),
            give_up: CancellationToken::new(),
            max_failures: options.max_failures,
            backoff: options.backoff,
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

async fn run<H: Handler>(
    reader: Reader,
    crew: Arc<Crew<H>>,
    stop: CancellationToken,
    drain: Duration,
) -> Stopped {
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
                let mut jobs = jobs.into_iter().peekable();
                while jobs.peek().is_some() {
                    let together: Vec<_> = jobs.by_ref().take(crew.handler.batch().get()).collect();
                    let permit = permits.split(together.len());
                    let crew = crew.clone();
                    running.spawn(async move {
                        crew.work(together).await;
                        drop(permit);
                    });
                }
            }
            Err(error) => {
                tracing::error!(target: TARGET, %error, "cannot fetch jobs");
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
        tracing::warn!(target: TARGET, %error, "the lease could not be ended; it ends by itself");
    }
    crew.tally.report()
}

/// Permits for as many jobs as can run now; waits for one.
struct Permits {
    number: NonZeroUsize,
    all: Option<OwnedSemaphorePermit>,
}

impl Permits {
    fn split(&mut self, jobs: usize) -> Option<OwnedSemaphorePermit> {
        self.all.as_mut()?.split(jobs)
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

impl<H: Handler> Crew<H> {
    async fn work(&self, held: Vec<HeldJob>) {
        let (span, started) = (telemetry::span(&held), Instant::now());
        let jobs = held.iter().map(|held| held.job().clone()).collect();
        let handled = self.handler.handle(jobs);
        let outcomes = tokio::select! {
            biased;
            () = any_lost(&held) => None,
            () = self.give_up.cancelled() => None,
            outcomes = handled.instrument(span.clone()) => Some(outcomes),
        };
        telemetry::ran(&span, started.elapsed());
        let mut outcomes = outcomes.into_iter().flatten();
        let settling = held.into_iter().map(|held| {
            let ended = match outcomes.next() {
                Some(outcome) => Ended::Handled(outcome),
                None if held.is_lost() => Ended::Lost,
                None => Ended::Stopped,
            };
            telemetry::handled(ended.name());
            self.settle(held, ended)
        });
        together(settling.collect()).await;
    }

    /// Tells the server, and counts.
    async fn settle(&self, held: HeldJob, ended: Ended) {
        let settled = match ended {
            Ended::Lost => return count(&self.tally.lost),
            Ended::Stopped => {
                count(&self.tally.handed_back);
                // What is written about the result is in the reader's own log.
                let _ = held.release().await;
                return;
            }
            Ended::Handled(Outcome::Done | Outcome::DoneWith { .. }) => {
                count(&self.tally.done);
                held.ack().await
            }
            Ended::Handled(failed) => {
                count(&self.tally.failed);
                self.fail(held, failed).await
            }
        };
        if let Ok(Settled::Lost) = settled {
            count(&self.tally.lost);
        }
    }

    async fn fail(&self, held: HeldJob, outcome: Outcome) -> Result<Settled, Error> {
        let (delay, reason) = match outcome {
            Outcome::Done | Outcome::DoneWith { .. } => return held.ack().await,
            Outcome::Dead { reason } => return held.bury(reason).await,
            Outcome::Retry { reason } => (self.backoff.delay(held.failures()), reason),
            Outcome::RetryIn { delay, reason } => (delay, reason),
        };
        if held.failures() + 1 >= self.max_failures {
            return held.bury(reason).await;
        }
        tracing::debug!(target: TARGET, job = %held.id(), ?delay, "the job failed and runs again");
        held.retry_in(delay).await
    }
}

/// How the run of a handler ended.
enum Ended {
    Handled(Outcome),
    /// The lease is over: the job is another's.
    Lost,
    /// The worker stopped before the handler ended.
    Stopped,
}

impl Ended {
    fn name(&self) -> &'static str {
        match self {
            Self::Handled(Outcome::Done | Outcome::DoneWith { .. }) => "done",
            Self::Handled(Outcome::Retry { .. } | Outcome::RetryIn { .. }) => "failed",
            Self::Handled(Outcome::Dead { .. }) => "dead",
            Self::Lost => "lost",
            Self::Stopped => "handed_back",
        }
    }
}

/// Ends when any of the jobs is another's.
async fn any_lost(held: &[HeldJob]) {
    let mut losses: Vec<_> = held.iter().map(|held| Box::pin(held.lost())).collect();
    poll_fn(|context| {
        let lost = losses.iter_mut().any(|lost| lost.as_mut().poll(context).is_ready());
        if lost { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits for all of them at once: acknowledgements that wait together go out together.
async fn together(futures: Vec<impl Future<Output = ()>>) {
    let mut left: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|context| {
        left.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
