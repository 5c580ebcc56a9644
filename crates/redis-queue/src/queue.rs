//! The handle that a service holds.

use crate::error::Error;
use crate::handler::{Batches, Handler, Single};
use crate::job::Job;
use crate::keys::Keys;
use crate::options::{QueueOptions, WorkerOptions};
use crate::outcome::IntoOutcome;
use crate::prepare::Prepared;
use crate::reader::Reader;
use crate::reap::{self, Reaped, Whose};
use crate::scripts::{self, Limits};
use crate::time::ServerTime;
use crate::worker::Worker;
use redis_patterns_core::Redis;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A queue of jobs; cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) options: QueueOptions,
    pub(crate) time: Arc<ServerTime>,
}

impl Queue {
    /// The queue of this name (any bytes) with the defaults of [`QueueOptions`].
    #[must_use]
    pub fn new(redis: Redis, name: impl AsRef<[u8]>) -> Self {
        Self::with_options(redis, name, QueueOptions::default())
    }

    /// The queue of this name (any bytes).
    #[must_use]
    pub fn with_options(redis: Redis, name: impl AsRef<[u8]>, options: QueueOptions) -> Self {
        let keys = Arc::new(Keys::new(redis.namespace(), name.as_ref()));
        Self { redis, keys, options, time: Arc::default() }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { max_losses: self.options.max_losses, max_dead: self.options.max_dead }
    }

    /// How many jobs wait: the measure for back-pressure. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn depth(&self) -> Result<u64, Error> {
        Ok(scripts::depth(&self.redis, &self.keys).await?)
    }

    /// Registers a reader, which takes jobs one by one under a lease. [`Queue::run`] is built on it.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] before anything is sent; [`Error::Redis`] if the reader could not be
    /// registered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a registration, which ends with its lease.
    pub async fn reader(&self, options: WorkerOptions) -> Result<Reader, Error> {
        Reader::start(self.clone(), options).await
    }

    /// Runs `handler` for each job until the [`Worker`] is stopped: up to
    /// [`concurrency`](WorkerOptions::concurrency) at once, and no job is fetched before there is
    /// room to run it.
    ///
    /// The job is done when the handler returns `()` or `Ok(())`. If it returns an error or panics,
    /// the job runs again after a [`backoff`](WorkerOptions::backoff), and after
    /// [`max_failures`](WorkerOptions::max_failures) it goes to the dead letters. A handler that is
    /// cancelled, because the worker stopped or lost its lease, leaves its job to another.
    ///
    /// # Twice
    ///
    /// A job runs again if its worker died, was paused past its lease, or could not tell the server
    /// that it was done: the handler's effect must be idempotent, or be written beside
    /// [`Job::delivery`](crate::Job::delivery) and refuse a lower one.
    ///
    /// # Errors
    ///
    /// As [`Queue::reader`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::reader`].
    pub async fn run<H, F, O>(&self, options: WorkerOptions, handler: H) -> Result<Worker, Error>
    where
        H: Fn(Job) -> F + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: IntoOutcome + 'static,
    {
        let reader = self.reader(options.clone()).await?;
        Ok(self.start(reader, &options, Single(handler)))
    }

    /// Runs `handler` for up to `batch` jobs at a time, of those that are at hand: it never waits for
    /// more. Otherwise as [`Queue::run`], with [`concurrency`](WorkerOptions::concurrency) counting jobs.
    ///
    /// The handler answers one outcome per job, in their order; a job without one has failed. A panic
    /// or a time-out fails all of them. If one of them is lost to another worker the handler is
    /// cancelled, and the others go back.
    ///
    /// ```no_run
    /// # async fn example(queue: redis_queue::Queue) -> Result<(), Box<dyn std::error::Error>> {
    /// use redis_queue::{Job, WorkerOptions};
    /// use std::num::NonZeroUsize;
    ///
    /// let batch = NonZeroUsize::new(100).ok_or("no jobs at a time")?;
    /// let worker = queue.run_batches(WorkerOptions::default(), batch, |jobs: Vec<Job>| async move {
    ///     // One INSERT for all of them.
    ///     jobs.iter().map(|_| Ok::<(), std::io::Error>(())).collect()
    /// });
    /// # worker.await?; Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Queue::reader`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::reader`].
    pub async fn run_batches<H, F, O>(
        &self,
        options: WorkerOptions,
        batch: NonZeroUsize,
        handler: H,
    ) -> Result<Worker, Error>
    where
        H: Fn(Vec<Job>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<O>> + Send + 'static,
        O: IntoOutcome + 'static,
    {
        let reader = self.reader(options.clone()).await?;
        Ok(self.start(reader, &options, Batches { batch, handler }))
    }

    fn start(&self, reader: Reader, options: &WorkerOptions, handler: impl Handler) -> Worker {
        Worker::start(reader, options, Prepared::new(self.clone(), options, handler))
    }

    /// Returns the jobs of workers whose lease is over to the front of the queue, in order.
    ///
    /// Every worker does this by itself; call it where none runs. One round trip to ask who is
    /// overdue, and one for each of them and each 500 jobs they held.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; what was returned until then stays returned.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: each step is atomic.
    pub async fn reap(&self) -> Result<Reaped, Error> {
        reap::sweep(self, Whose::Overdue).await
    }
}
