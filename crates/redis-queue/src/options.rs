//! The settings of a queue and of its workers.

use crate::aside::{Aside, BlobStore, Place};
use crate::error::Error;
use crate::trace::TraceParent;
use redis_patterns_core::Backoff;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

/// Tells the span that pushes.
type TraceSource = Arc<dyn Fn() -> Option<TraceParent> + Send + Sync>;

/// The settings of a queue, the same for everyone who pushes.
#[derive(Clone)]
#[must_use]
pub struct QueueOptions {
    pub(crate) max_len: Option<NonZeroU64>,
    pub(crate) max_payload: usize,
    pub(crate) max_losses: u16,
    pub(crate) max_dead: u64,
    pub(crate) trace: Option<TraceSource>,
    pub(crate) aside: Option<Aside>,
}

impl QueueOptions {
    /// The most jobs that may wait; unlimited unless set. Checked in the same step as the push, so
    /// no number of producers exceeds it. Jobs that come back from a worker are always let in.
    pub fn max_len(mut self, jobs: NonZeroU64) -> Self {
        self.max_len = Some(jobs);
        self
    }

    /// The most bytes of a payload; 1 MiB unless set. A job crosses the network four times, so what
    /// is larger is better kept elsewhere and named in the job.
    pub fn max_payload(mut self, bytes: NonZeroUsize) -> Self {
        self.max_payload = bytes.get();
        self
    }

    /// How many workers may be lost while they hold the same job; 5 unless set. One more, and the
    /// job goes to the dead letters: it is likely to be what kills them.
    pub fn max_losses(mut self, workers: u16) -> Self {
        self.max_losses = workers;
        self
    }

    /// About how many dead letters are kept, the newest; 100,000 unless set. More would fill the
    /// memory of a server that nobody looks after.
    pub fn max_dead(mut self, jobs: NonZeroU64) -> Self {
        self.max_dead = jobs.get();
        self
    }

    /// Payloads of more than `over` bytes are kept in a key of their own under the queue's tag, and
    /// the job carries only its id: every move of the job then costs the same whatever its payload.
    /// All payloads are in the job unless this or [`aside_in`](QueueOptions::aside_in) is set; 4 kB
    /// is a good place to begin.
    ///
    /// A payload is deleted after its job is done. If that does not happen, because the process died
    /// or the job did, it goes by itself `keep` after it was last read: so `keep` must be longer than
    /// any job waits, and is how long a dead letter can be replayed. A delay is added to it. A job
    /// whose payload is gone is a dead letter.
    ///
    /// A push takes one round trip more for each such payload, and so do each run and the end. Set the
    /// same for producers and workers.
    pub fn aside(mut self, over: NonZeroUsize, keep: Duration) -> Self {
        self.aside = Some(Aside { over: over.get(), place: Place::Redis { keep } });
        self
    }

    /// Payloads of more than `over` bytes are kept in `store`; as [`aside`](QueueOptions::aside)
    /// otherwise.
    pub fn aside_in(mut self, over: NonZeroUsize, store: impl BlobStore) -> Self {
        self.aside = Some(Aside { over: over.get(), place: Place::Store(Arc::new(store)) });
        self
    }

    /// Where the trace context of each push comes from: with OpenTelemetry, the current span's. It
    /// is called once for each push; without it, and where it says `None`, jobs carry none.
    ///
    /// ```
    /// use redis_queue::{QueueOptions, TraceParent};
    ///
    /// fn current() -> Option<TraceParent> {
    ///     // From your tracing library: a propagator's `traceparent`, for example.
    ///     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok()
    /// }
    /// let options = QueueOptions::default().trace_with(current);
    /// # let _ = options;
    /// ```
    pub fn trace_with(mut self, current: impl Fn() -> Option<TraceParent> + Send + Sync + 'static) -> Self {
        self.trace = Some(Arc::new(current));
        self
    }
}

impl fmt::Debug for QueueOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueOptions")
            .field("max_len", &self.max_len)
            .field("max_payload", &self.max_payload)
            .field("max_losses", &self.max_losses)
            .field("max_dead", &self.max_dead)
            .field("aside", &self.aside)
            .field("trace_with", &self.trace.is_some())
            .finish()
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_len: None,
            max_payload: 1 << 20,
            max_losses: 5,
            max_dead: 100_000,
            trace: None,
            aside: None,
        }
    }
}

/// The settings of a reader or worker.
///
/// ```
/// use redis_queue::WorkerOptions;
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
///
/// let options = WorkerOptions::default()
///     .concurrency(NonZeroUsize::new(32).unwrap())
///     .lease(Duration::from_secs(10));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct WorkerOptions {
    pub(crate) concurrency: usize,
    pub(crate) lease: Duration,
    pub(crate) block: Duration,
    pub(crate) drain: Duration,
    pub(crate) max_failures: u32,
    pub(crate) backoff: Backoff,
    pub(crate) timeout: Option<Duration>,
}

impl WorkerOptions {
    /// How many jobs run at once; 16 unless set. No more than that are ever fetched.
    pub fn concurrency(mut self, jobs: NonZeroUsize) -> Self {
        self.concurrency = jobs.get();
        self
    }

    /// How long the worker may be silent before its jobs go to others; 15 s unless set: longer than
    /// a failover or a slow machine. 1 s to 1 day.
    ///
    /// A worker whose process is dead is found sooner, within about 2 s: its connection is closed,
    /// which the server can tell.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long one wait for a job takes at most; 8 s unless set, below the time after which the
    /// client takes a connection for dead. 100 ms to 60 s: servers up to 7.0.7 took a wait below
    /// 2 ms for an endless one.
    pub fn block(mut self, block: Duration) -> Self {
        self.block = block;
        self
    }

    /// How often a handler may fail on a job; 25 unless set, about nine hours on average with the
    /// default [`backoff`](WorkerOptions::backoff). After that the job goes to the dead letters.
    pub fn max_failures(mut self, failures: NonZeroU32) -> Self {
        self.max_failures = failures.get();
        self
    }

    /// The waits before a job runs again after failures; from 1 s to 1 h unless set, each a random
    /// part of a ceiling that doubles.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long a handler may take; as long as it likes unless set. One that takes longer is
    /// cancelled, which counts as a failure.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long a stop waits for handlers that run; 30 s unless set. After that they are cancelled
    /// and their jobs go back.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&self.lease) {
            return Err(Error::Options("a lease is 1 s to 1 day"));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&self.block) {
            return Err(Error::Options("a wait for jobs is 100 ms to 60 s"));
        }
        Ok(())
    }

    /// The time between two heartbeats: short while there are jobs that others would have to wait
    /// for, and while idle about as long as leaves one command per second in all.
    pub(crate) fn beat(&self, holds: usize) -> Duration {
        let most = if holds > 0 { Duration::from_millis(400) } else { Duration::from_millis(1_200) };
        most.min(self.lease / 4)
    }
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            lease: Duration::from_secs(15),
            block: Duration::from_secs(8),
            drain: Duration::from_secs(30),
            timeout: None,
            max_failures: 25,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(3_600)),
        }
    }
}
