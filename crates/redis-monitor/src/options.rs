//! What the doctor is told before it looks.

use redis_patterns_core::Namespace;
use std::num::NonZeroU32;
use std::time::Duration;

/// One of the five patterns: what is a hazard depends on which are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// Rate limits: what they lose, they forget to count.
    RateLimit,
    /// Locks: one that is evicted has two holders.
    Lock,
    /// Idempotency keys: one that is lost runs the request again.
    Idempotency,
    /// Sessions: one that is lost logs its user out.
    Session,
    /// Queues: a list that is lost has lost its jobs.
    Queue,
}

impl Pattern {
    /// All five.
    pub const ALL: [Self; 5] = [Self::RateLimit, Self::Lock, Self::Idempotency, Self::Session, Self::Queue];

    /// Whether the loss of one key does damage that nobody sees.
    pub(crate) fn breaks_when_evicted(self) -> bool {
        matches!(self, Self::Lock | Self::Idempotency | Self::Queue)
    }

    /// Whether its promise spans a restart of the server.
    pub(crate) fn breaks_when_restarted(self) -> bool {
        matches!(self, Self::Idempotency | Self::Queue)
    }
}

/// The settings of a [`Doctor`](crate::Doctor).
#[derive(Clone, Debug)]
#[must_use]
pub struct DoctorOptions {
    pub(crate) namespace: Namespace,
    pub(crate) uses: Vec<Pattern>,
    #[cfg(feature = "queue")]
    pub(crate) queues: Vec<String>,
    pub(crate) interval: Duration,
    pub(crate) keys: u32,
    pub(crate) deadline: Duration,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        Self {
            namespace: Namespace::default(),
            uses: Pattern::ALL.to_vec(),
            #[cfg(feature = "queue")]
            queues: Vec::new(),
            interval: Duration::from_secs(1),
            keys: 1_000,
            deadline: Duration::from_secs(3),
        }
    }
}

impl DoctorOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The namespace whose keys are sampled; `rp` unless set, as in the pattern crates.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// The patterns that use this Redis; all five unless set, since a hazard that is not told is
    /// worse than one too many.
    pub fn uses(mut self, patterns: impl IntoIterator<Item = Pattern>) -> Self {
        self.uses = patterns.into_iter().collect();
        self
    }

    /// A queue to look at, besides those that the sample of keys finds.
    #[cfg(feature = "queue")]
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queues.push(name.into());
        self
    }

    /// The time between the two samples of the first examination; 1 s unless set, enough to see
    /// a storm. Later ones compare with the one before.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The most keys that each primary is asked to look through (`SCAN`), rounded up to a multiple
    /// of 100; 1,000 unless set, about a millisecond of a server's time.
    pub fn sampled_keys(mut self, keys: NonZeroU32) -> Self {
        self.keys = keys.get();
        self
    }

    /// The time within which a server must accept a connection, and answer a command; 3 s unless
    /// set, so that one that hangs is told and not waited for.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn any_used(&self, is: fn(Pattern) -> bool) -> bool {
        self.uses.iter().any(|pattern| is(*pattern))
    }
}
