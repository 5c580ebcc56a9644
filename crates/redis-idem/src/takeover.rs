//! What happens to a request whose worker is gone.

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// What to do with a request whose claim was abandoned: its lease is over and nothing was heard of
/// its holder.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Takeover {
    /// Run it again: for work that may be done twice, or that goes by
    /// [`Claim::attempt`](crate::Claim::attempt) and passes
    /// [`Claim::request`](crate::Claim::request) on.
    #[default]
    Rerun,
    /// Never run it again by itself: it is answered [`InDoubt`](crate::Begin::InDoubt) until
    /// somebody [resolves](crate::Idempotency::resolve) it. For work that must not be done twice.
    InDoubt,
    /// Ask somebody who may know, such as the database that the work writes to.
    Ask(Arc<dyn Judge>),
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rerun => "Rerun",
            Self::InDoubt => "InDoubt",
            Self::Ask(_) => "Ask(..)",
        })
    }
}

/// Somebody who may know what became of a request.
#[async_trait]
pub trait Judge: Send + Sync {
    /// What is to become of `request` ([`Claim::request`](crate::Claim::request)), of which
    /// `attempts` were abandoned. One caller asks at a time, and holds the claim meanwhile.
    async fn judge(&self, request: &str, attempts: u32) -> Verdict;
}

/// What becomes of an abandoned request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was done, or doing it again does no harm: it runs again.
    Rerun,
    /// It was done, with this outcome, which is stored and replayed.
    Done(Bytes),
    /// Nobody knows: it stays [in doubt](crate::Begin::InDoubt).
    InDoubt,
}
