//! What came of asking for a token or a code.

use crate::telemetry::Outcome;
use std::time::Duration;

/// Whether something was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "this is the only place of what was issued"]
pub enum Issue<S> {
    /// This, to be sent to its user and to nobody else.
    Issued(S),
    /// The last one is too fresh, or the identity is locked; nothing was changed.
    TooSoon {
        /// How long to wait.
        retry_after: Duration,
    },
}

impl<S> Issue<S> {
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Issued(_) => Outcome::Done,
            Self::TooSoon { .. } => Outcome::Refused,
        }
    }

    /// What was issued, if it was.
    #[must_use]
    pub fn issued(self) -> Option<S> {
        match self {
            Self::Issued(secret) => Some(secret),
            Self::TooSoon { .. } => None,
        }
    }
}
