//! The handle that a service holds.

use crate::envelope::Header;
use crate::error::Error;
use crate::handler::{Batches, Single};
use crate::job::{Job, JobId};
use crate::keys::Keys;
use crate::options::{QueueOptions, WorkerOptions};
use crate::outcome::{IntoOutcome, Pushed};
use crate::reader::Reader;
use crate::reap::{self, Reaped, Whose};
use crate::scripts::{self, Due, Limits};
use crate::telemetry;
use crate::worker::Worker;
use bytes::Bytes;
use redis_patterns_core::{Backoff, CodecId, Redis, millis};
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Waits for room in a full queue.
const FULL: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));

/// A queue of jobs; cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) options: QueueOptions,
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
        Self { redis, keys, options }
    }

    /// Adds one job behind all that wait. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Payload`] before anything is sent; [`Error::Redis`] if Redis did not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped push may still add the job.
    ///
    /// # If the reply is lost
    ///
    /// The job may wait, and pushing again may add it twice.
    pub async fn push(&self, payload: impl AsRef<[u8]>) -> Result<Pushed, Error> {
        self.push_many([payload]).await
    }

    /// Adds up to 1,000 jobs behind all that wait, all or none, the first to run first. One round
    /// trip.
    ///
    /// # Errors
    ///
    /// [`Error::Payload`] and [`Error::Batch`] before anything is sent; [`Error::Redis`] if Redis
    /// did not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped push may still add the jobs.
    ///
    /// # If the reply is lost
    ///
    /// All of the jobs wait, or none of them.
    pub async fn push_many<P: AsRef<[u8]>>(
        &self,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Pushed, Error> {
        self.push_sealed(payloads, CodecId::Raw).await
    }

    /// Adds one job behind all that wait, and waits up to `wait` for room in a queue that is full; it
    /// asks every 5 to 100 ms. [`Pushed::Full`] after that.
    ///
    /// Who waits holds up its own caller: this is how back-pressure reaches the source.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`].
    pub async fn push_within(&self, wait: Duration, payload: impl AsRef<[u8]>) -> Result<Pushed, Error> {
        let until = Instant::now() + wait;
        for tries in 0.. {
            let pushed = self.push(&payload).await?;
            let pause = FULL.delay(tries);
            if !matches!(pushed, Pushed::Full { .. }) || Instant::now() + pause > until {
                return Ok(pushed);
            }
            tokio::time::sleep(pause).await;
        }
        unreachable!("the loop above has no end of its own")
    }

    /// Adds one job whose payload is a value, as JSON.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`], and a codec error if the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`].
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn push_json<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<Pushed, Error> {
        use redis_patterns_core::{Codec as _, Json};
        let payload = Json.encode("queue/push", value)?;
        self.push_sealed([payload], CodecId::Json).await
    }

    /// Adds one job whose payload is a value, as MessagePack with the names of fields.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`], and a codec error if the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`].
    #[cfg(feature = "msgpack")]
    #[cfg_attr(docsrs, doc(cfg(feature = "msgpack")))]
    pub async fn push_msgpack<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<Pushed, Error> {
        use redis_patterns_core::{Codec as _, MessagePack};
        let payload = MessagePack.encode("queue/push", value)?;
        self.push_sealed([payload], CodecId::MessagePack).await
    }

    /// Adds one job behind all that wait, unless one with the same `key` (any bytes) was added
    /// within its window, whether it has run or not. One round trip.
    ///
    /// The window is the time in which a producer may try again: until then a push whose reply was
    /// lost, a double click or a second scheduler adds nothing.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// Push again with the same key: the job is added once.
    ///
    /// # If the reply is lost
    ///
    /// Push again with the same key: [`Pushed::Duplicate`] then means that the first was added.
    pub async fn push_unique(
        &self,
        key: impl AsRef<[u8]>,
        window: Duration,
        payload: impl AsRef<[u8]>,
    ) -> Result<Pushed, Error> {
        let (ids, mut jobs) = self.seal([payload], CodecId::Raw)?;
        let job = (ids[0], jobs.pop().unwrap_or_default());
        let key = self.keys.unique(key.as_ref());
        let pushed = scripts::push_unique(&self.redis, &self.keys, self.options.max_len, (&key, window), job);
        telemetry::pushed(pushed.await.map_err(Error::from))
    }

    /// Adds one job that waits until `delay` from now by the server's clock, then stands behind all
    /// that wait. Workers sleep until the next is due, so it runs within milliseconds of that. One
    /// round trip. It does not count for [`max_len`](QueueOptions::max_len).
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// The job may be there, and pushing again may add it twice.
    pub async fn push_in(&self, delay: Duration, payload: impl AsRef<[u8]>) -> Result<JobId, Error> {
        self.schedule(Due::In(delay), payload).await
    }

    /// Adds one job that waits until `at` by the server's clock; as [`Queue::push_in`] otherwise.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// The job may be there, and pushing again may add it twice.
    pub async fn push_at(&self, at: SystemTime, payload: impl AsRef<[u8]>) -> Result<JobId, Error> {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.schedule(Due::At(millis(since)), payload).await
    }

    async fn schedule(&self, due: Due, payload: impl AsRef<[u8]>) -> Result<JobId, Error> {
        let (ids, mut jobs) = self.seal([payload], CodecId::Raw)?;
        let job = jobs.pop().unwrap_or_default();
        scripts::schedule(&self.redis, &self.keys, due, job).await?;
        Ok(ids[0])
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { max_losses: self.options.max_losses, max_dead: self.options.max_dead }
    }

    async fn push_sealed<P: AsRef<[u8]>>(
        &self,
        payloads: impl IntoIterator<Item = P>,
        codec: CodecId,
    ) -> Result<Pushed, Error> {
        let (ids, jobs) = self.seal(payloads, codec)?;
        if jobs.is_empty() {
            return Ok(Pushed::Accepted { ids, depth: self.depth().await? });
        }
        let pushed = scripts::push(&self.redis, &self.keys, self.options.max_len, jobs).await;
        let outcome = |(added, depth)| match added {
            true => Pushed::Accepted { ids, depth },
            false => Pushed::Full { depth },
        };
        telemetry::pushed(pushed.map(outcome).map_err(Error::from))
    }

    fn seal<P: AsRef<[u8]>>(
        &self,
        payloads: impl IntoIterator<Item = P>,
        codec: CodecId,
    ) -> Result<(Vec<JobId>, Vec<Bytes>), Error> {
        let (mut ids, mut jobs) = (Vec::new(), Vec::new());
        for payload in payloads {
            let payload = payload.as_ref();
            if payload.len() > self.options.max_payload {
                return Err(Error::Payload { bytes: payload.len(), most: self.options.max_payload });
            }
            let header = Header::new(codec);
            ids.push(header.id);
            jobs.push(header.seal(payload));
            if jobs.len() > scripts::BATCH {
                return Err(Error::Batch { jobs: jobs.len(), most: scripts::BATCH });
            }
        }
        Ok((ids, jobs))
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
        Ok(Worker::start(reader, &options, Single(handler)))
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
        Ok(Worker::start(reader, &options, Batches { batch, handler }))
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
