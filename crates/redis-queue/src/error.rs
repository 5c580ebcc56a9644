//! What can go wrong.

/// A failure of a queue. A full queue or a lost job is not one: see [`Pushed`](crate::Pushed) and
/// [`Settled`](crate::Settled). None of them holds a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option makes no sense; nothing was sent.
    #[error("queue: {0}")]
    Options(&'static str),
    /// A payload is larger than the queue admits; nothing was sent.
    #[error("queue: a payload of {bytes} bytes exceeds the {most} that this queue admits")]
    Payload {
        /// Its size in bytes.
        bytes: usize,
        /// The most that [`QueueOptions`](crate::QueueOptions) admits.
        most: usize,
    },
    /// A batch has more jobs than one call takes; nothing was sent.
    #[error("queue: {jobs} jobs in one call, {most} is the most")]
    Batch {
        /// How many there were.
        jobs: usize,
        /// The most in one call.
        most: usize,
    },
    /// The reader was closed or its lease is over, and whether this job was settled is not known.
    #[error("queue: the reader ended before the server's answer came; the job may have been settled")]
    Ended,
    /// The place for large payloads failed.
    #[error("queue: the place for large payloads failed: {0}")]
    Blob(#[source] crate::aside::BlobError),
    /// Redis did not do what was asked.
    #[error(transparent)]
    Redis(#[from] redis_patterns_core::Error),
}

impl Error {
    /// Whether Redis could not be reached or did not answer in time, as opposed to a mistake of
    /// the caller.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_outage())
    }
}
