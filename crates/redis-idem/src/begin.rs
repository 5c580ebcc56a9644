//! What the first step answers.

use crate::claim::Claim;
use bytes::Bytes;
use std::time::Duration;

/// What to do with a request.
///
/// HTTP has a status for each: run and answer, the stored response, 409 with `Retry-After`, 422.
#[derive(Debug)]
#[must_use = "the work may be done only if it was started"]
#[non_exhaustive]
pub enum Begin {
    /// Nobody has done it: do the work, then [`complete`](Claim::complete) the claim.
    Started(Claim),
    /// It was done: answer with this outcome, the bytes given to [`Claim::complete`].
    Replay(Bytes),
    /// Somebody is doing it, as far as Redis knows. HTTP: 409 and `Retry-After`.
    InProgress {
        /// When the claim's lease ends if nothing is heard of its holder until then: the latest
        /// moment at which it is worth asking again, counted from the server's answer.
        retry_after: Duration,
    },
    /// An attempt ended without anyone knowing what it did, and the engine was told not to run such
    /// a request again by itself ([`Takeover`](crate::Takeover)). HTTP: 409, no `Retry-After`.
    /// [`Idempotency::resolve`](crate::Idempotency::resolve) settles it.
    InDoubt,
    /// The key was used for a request with another fingerprint, done or under way. HTTP: 422.
    Mismatch,
}
