//! How long a lock is held and how long its fence is remembered.

use crate::durable::Durability;
use crate::error::Error;
use std::time::Duration;

/// Below this a lease ends before its holder could do anything with it.
const SHORTEST_LEASE: Duration = Duration::from_millis(10);
/// Above this a lease is a mistake of units.
const LONGEST_LEASE: Duration = Duration::from_secs(365 * 24 * 3_600);
const LONGEST_MEMORY: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// The settings of [`Locks`](crate::Locks).
///
/// ```
/// use redis_lock::LockOptions;
/// use std::time::Duration;
///
/// let options = LockOptions::new().lease(Duration::from_secs(10)).unwrap();
/// // Five percent and two milliseconds less than what the server grants.
/// assert_eq!(options.validity(), Duration::from_millis(9_498));
/// assert!(LockOptions::new().lease(Duration::ZERO).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOptions {
    lease: Duration,
    fence_memory: Duration,
    max_hold: Option<Duration>,
    waiting: Waiting,
    durability: Durability,
    label: String,
}

/// How a call waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// In the queue, told by sharded pub/sub.
    Queued,
    /// By trying again after a random time of at most this.
    Polled { every: Duration },
}

impl LockOptions {
    /// A lease of 30 s, long enough to survive a failover of a few seconds and short enough that a
    /// dead holder is not missed for minutes; a fence remembered for 24 h.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lease: Duration::from_secs(30),
            fence_memory: Duration::from_secs(24 * 3_600),
            max_hold: None,
            waiting: Waiting::Queued,
            durability: Durability::Local,
            label: String::new(),
        }
    }

    /// How long the server keeps the lock for a holder that says nothing more: 10 ms to 365 days.
    ///
    /// # The lease is the longest hold
    ///
    /// A holder that works longer than its lease must [extend](crate::LockGuard::extend) it, or let
    /// it be [renewed](LockOptions::renewed_for_at_most).
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is out of range.
    pub fn lease(mut self, lease: Duration) -> Result<Self, Error> {
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease) {
            return Err(Error::Options("a lease is 10 ms to 365 days"));
        }
        self.lease = lease;
        Ok(self)
    }

    /// How long the last fence of a name is remembered after the name was last locked: at least
    /// twice the lease, at most ten years; 24 h unless set.
    ///
    /// Each name ever locked costs one small key for that long. A forgotten fence does no harm
    /// while the server's clock stays ahead of it: only a clock set back by more than this span
    /// could then issue a lower one.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is above ten years.
    pub fn fence_memory(mut self, memory: Duration) -> Result<Self, Error> {
        if memory > LONGEST_MEMORY {
            return Err(Error::Options("a fence is remembered for at most ten years"));
        }
        self.fence_memory = memory;
        Ok(self)
    }

    /// Renews a guard's lease by a background task, for at most `max_hold` from when it was asked
    /// for; not renewed unless set, so that a holder that hangs loses the lock.
    ///
    /// The lease is extended at a third of its time. It may then be short (a few seconds), which is
    /// how long a dead holder is missed, while the work is long.
    ///
    /// # A holder that hangs keeps the lock
    ///
    /// As long as its runtime lives, for `max_hold`: choose the time after which you would restart it.
    /// One task renews all guards of a handle, on the runtime of the call that started it: a handle
    /// is for one runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is zero.
    pub fn renewed_for_at_most(mut self, max_hold: Duration) -> Result<Self, Error> {
        if max_hold.is_zero() {
            return Err(Error::Options("the longest hold is above zero"));
        }
        self.max_hold = Some(max_hold);
        Ok(self)
    }

    /// Waits by trying again after random times of at most `every` (1 ms to 1 minute), instead of in
    /// the queue: for servers or accounts without sharded pub/sub. A release is then one native
    /// compare-and-delete where the server has it (Valkey 9, Redis 8.4).
    ///
    /// # Neither fair nor cheap
    ///
    /// Any waiter may be next, and each sends requests while it waits. All handles of a name should
    /// wait the same way: one that polls overtakes one that queues, and tells it nothing when it
    /// releases (the queue finds out within a second).
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is out of range.
    pub fn polled_every(mut self, every: Duration) -> Result<Self, Error> {
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&every) {
            return Err(Error::Options("a wait between tries is 1 ms to 1 minute"));
        }
        self.waiting = Waiting::Polled { every };
        Ok(self)
    }

    /// How many copies of a grant there must be before the caller has it; the primary's unless set.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What this process calls itself, shown by [`Locks::inspect`](crate::Locks::inspect): 1 to 64
    /// characters of `A-Z a-z 0-9 . _ -`, such as a host and a task. It is stored with each lock, and
    /// anybody who can read the keys can read it.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is empty, too long, or has another character.
    pub fn label(mut self, label: &str) -> Result<Self, Error> {
        let fits = (1..=64).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !fits {
            return Err(Error::Options("a label is 1 to 64 characters of A-Z a-z 0-9 . _ -"));
        }
        label.clone_into(&mut self.label);
        Ok(self)
    }

    /// How long a guard counts as held, from the moment its request was sent: the lease less five
    /// percent and 2 ms. One percent and 2 ms are for clocks that run at different rates and a
    /// server that counts whole milliseconds (source: the drift allowance of the Redlock
    /// description); the rest is for timers that fire late.
    #[must_use]
    pub fn validity(&self) -> Duration {
        let drift = self.lease / 20 + Duration::from_millis(2);
        self.lease.saturating_sub(drift)
    }

    /// How long the server keeps the lock.
    #[must_use]
    pub fn lease_time(&self) -> Duration {
        self.lease
    }

    pub(crate) fn max_hold(&self) -> Option<Duration> {
        self.max_hold
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting
    }

    pub(crate) fn copies(&self) -> Durability {
        self.durability
    }

    /// Empty if there is none.
    pub(crate) fn label_text(&self) -> &str {
        &self.label
    }

    pub(crate) fn memory_time(&self) -> Duration {
        self.fence_memory.max(self.lease * 2)
    }
}

impl Default for LockOptions {
    fn default() -> Self {
        Self::new()
    }
}
