//! What can go wrong.

use std::error::Error as StdError;

/// A failure of a store. A session or token that is not there is not one: see
/// [`Update::Gone`](crate::Update::Gone) and the `None` of a load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option makes no sense; nothing was sent.
    #[error("session: {0}")]
    Options(&'static str),
    /// The encoded value of a session is longer than [allowed](crate::Options::max_bytes); nothing
    /// was sent.
    #[error("session: the value has {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// [`Sessions::modify`](crate::Sessions::modify) or
    /// [`rotate_with`](crate::Sessions::rotate_with) found the session changed by others each time;
    /// nothing was written.
    #[error("session: others changed the session at each of {0} tries")]
    Contended(u32),
    /// The [recorder](crate::SessionRecorder) failed, after Redis did what was asked: a session that
    /// began or was rotated was ended then, and one that was revoked is gone.
    #[error("session: it could not be recorded")]
    Recorder(#[source] Box<dyn StdError + Send + Sync>),
    /// Redis did not do what was asked, or a value could not be encoded or decoded.
    #[error(transparent)]
    Redis(#[from] redis_patterns_core::Error),
}

impl Error {
    /// Whether Redis could not be reached or did not answer in time. A session that cannot be
    /// looked up is not a session: answer 503, not "logged out".
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_outage())
    }
}
