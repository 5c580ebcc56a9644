//! What can go wrong. A busy lock is not an error: see [`TryLock`](crate::TryLock).

/// A failure of a lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings make no sense; nothing was sent.
    #[error("lock: {0}")]
    Options(&'static str),
    /// The lock is no longer held, or can no longer be proven to be.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The next fence would be above 2^53 - 1. Time takes until 2255 to come there, so something
    /// else wrote the remembered one.
    #[error("lock: no fence is left for this name; delete its key `..:f` if none that high was ever used")]
    FenceExhausted,
    /// Fewer replicas than [asked for](crate::Durability::Replicas) had the lock in time; it is freed.
    #[error("lock: only {acknowledged} replicas have the lock")]
    TooFewReplicas {
        /// How many had it.
        acknowledged: u32,
    },
    /// Redis did not do what was asked.
    #[error(transparent)]
    Redis(#[from] redis_patterns_core::Error),
}

impl Error {
    /// Whether Redis could not be reached or did not answer in time, as opposed to a lost lock or
    /// a wrong argument.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_outage())
    }
}

/// Why a guard holds no longer. Once lost, a guard stays lost: work under it must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The lease, counted from the send on this machine's clock, is over.
    #[error("lock lost: its lease ended before it was extended")]
    Expired,
    /// The server no longer has the lock for this holder: it expired there, or the server lost its
    /// data. Somebody else may hold it.
    #[error("lock lost: the server no longer has it for this holder")]
    Gone,
    /// It was freed [by force](crate::Locks::force_release). Somebody else may hold it.
    #[error("lock lost: it was freed by force")]
    Revoked,
    /// The longest hold that the settings allow is over.
    #[error("lock lost: it was held for longer than its settings allow")]
    HeldTooLong,
}
