//! What a check answers.

use std::time::Duration;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It may, and was counted.
    Allowed,
    /// It may not, and counted nothing. It may be tried again after `retry_after`.
    Denied {
        /// How long to wait, from the moment the server answered.
        retry_after: Duration,
    },
}

/// The answer to one check.
///
/// All times are relative to the server's answer, so no clocks need to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at limits nothing"]
#[non_exhaustive]
pub struct Decision {
    /// Whether the request may go on.
    pub outcome: Outcome,
    /// The most requests in one window.
    pub limit: u64,
    /// How many more the window admits.
    pub remaining: u64,
    /// How long until the window ends and the count starts anew.
    pub reset_after: Duration,
}

impl Decision {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }

    /// How long to wait, if the request may not go on.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Allowed => None,
            Outcome::Denied { retry_after } => Some(retry_after),
        }
    }
}
