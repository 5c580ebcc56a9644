//! What can go wrong.

/// A failure of the engine. A request that may not run is not one: see [`Begin`](crate::Begin).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option makes no sense; nothing was sent.
    #[error("idempotency: {0}")]
    Options(&'static str),
    /// The scope or operation is out of its range, which is a bug of the caller; nothing was sent.
    /// HTTP: 500.
    #[error("idempotency: {0}")]
    Scope(&'static str),
    /// The client's key is out of its range; nothing was sent. HTTP: 400.
    #[error("idempotency: {0}")]
    Key(&'static str),
    /// The durable store could not be asked; the request did not run. HTTP: 503.
    #[error("idempotency: the durable store could not be asked")]
    Durable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The audit trail could not be written. From [`begin`](crate::Idempotency::begin): the request neither ran nor was
    /// replayed. From the end of a claim: Redis has it, the trail does not. HTTP: 503.
    #[error("idempotency: the audit trail could not be written")]
    Audit(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Redis did not do what was asked, or holds a record that this version cannot read.
    #[error(transparent)]
    Redis(#[from] redis_patterns_core::Error),
}

impl Error {
    /// Whether Redis, the durable store or the audit trail could not be reached or did not answer in
    /// time. HTTP: 503 and `Retry-After`, since running the request unclaimed may run it twice.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Durable(_) | Self::Audit(_) => true,
            Self::Redis(error) => error.is_outage(),
            Self::Options(_) | Self::Scope(_) | Self::Key(_) => false,
        }
    }
}
