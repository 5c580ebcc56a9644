//! What a check answers.

use crate::scripts::{Answer, Mark};
use std::time::Duration;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It may, and was charged (by [`peek`](crate::RateLimiter::peek): it would be).
    Allowed,
    /// It may not, and was charged nothing. It may be tried again after `retry_after`.
    Denied {
        /// How long to wait, from the moment the server answered; never zero.
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
    /// The most units that can be had at once: the limit, or the burst of a bucket.
    pub limit: u64,
    /// The units that this request was charged, less those given back with
    /// [`refund`](crate::RateLimiter::refund).
    pub charged: u64,
    /// How many more units could be had now.
    pub remaining: u64,
    /// How long until nothing is held against the subject, if it asks for nothing more.
    pub reset_after: Duration,
    pub(crate) mark: Mark,
}

impl Decision {
    pub(crate) fn new(limit: u64, answer: Answer) -> Self {
        let outcome = if answer.wait.is_zero() {
            Outcome::Allowed
        } else {
            Outcome::Denied { retry_after: answer.wait }
        };
        let Answer { taken, left, reset_after, mark, .. } = answer;
        Self { outcome, limit, charged: taken, remaining: left, reset_after, mark }
    }

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
