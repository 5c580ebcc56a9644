//! What can go wrong.

/// A failure of a rate limit. A denial is not one: see [`Decision`](crate::Decision).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The limit makes no sense; nothing was sent.
    #[error("rate limit: {0}")]
    Policy(&'static str),
    /// The cost is more than the policy ever admits at once, so no wait would help; nothing was
    /// sent.
    #[error("rate limit: a cost of {cost} can never be admitted under a limit of {limit}")]
    CostExceedsLimit {
        /// What was asked for.
        cost: u64,
        /// The most that can be had at once.
        limit: u64,
    },
    /// Redis did not do what was asked.
    #[error(transparent)]
    Redis(#[from] redis_patterns_core::Error),
}

impl Error {
    /// Whether Redis could not be reached or did not answer in time: the case for a fail-open or
    /// fail-closed policy. A wrong argument is never an outage.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_outage())
    }
}
