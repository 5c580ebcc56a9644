//! What a check answers.

use crate::options::Policy;
use crate::scripts::Mark;
use std::sync::Arc;
use std::time::Duration;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It may, and was charged (by [`peek`](crate::RateLimiter::peek): it would be).
    Allowed,
    /// It may not, and was charged nothing. It may be tried again after `retry_after`.
    Denied {
        /// How long to wait, from the moment the answer was made; never zero.
        retry_after: Duration,
    },
    /// It may, though Redis gave no answer: see [`WhenDown`](crate::WhenDown).
    Degraded(Degraded),
}

/// Why Redis gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Degraded {
    /// No answer within the deadline, or the connection was lost: the request may have been charged.
    NoAnswer,
    /// Nothing could be sent, or the server refused to work: nothing was charged.
    Unreachable,
    /// Redis was not asked, since it had failed too often just before: nothing was charged.
    CircuitOpen,
}

/// Who made a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Redis, in one script.
    Redis,
    /// This process, out of units that it had taken from Redis before.
    Lease,
    /// This process, since Redis had denied as much and that wait is not over.
    LocalDenial,
    /// This process, since Redis gave no answer.
    Fallback(Degraded),
}

/// The answer to one check.
///
/// All times are relative to the answer, so no clocks need to agree.
///
/// Of several policies, `policy`, `limit`, `remaining` and `reset_after` are those of the one that
/// decided: the longest wait, or if all had room, the one with the fewest units left.
/// [`policies`](Decision::policies) has all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at limits nothing"]
#[non_exhaustive]
pub struct Decision {
    /// Whether the request may go on.
    pub outcome: Outcome,
    /// The name of the policy that decided.
    pub policy: Arc<str>,
    /// The most units that can be had at once: the limit, or the burst of a bucket.
    pub limit: u64,
    /// The units that this request was charged, less those given back with
    /// [`refund`](crate::RateLimiter::refund).
    pub charged: u64,
    /// How many more units could be had now.
    pub remaining: u64,
    /// How long until nothing is held against the subject, if it asks for nothing more.
    pub reset_after: Duration,
    /// Who decided.
    pub source: Source,
    policies: Vec<PolicyState>,
}

/// What one policy had to say to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyState {
    /// The name of the policy.
    pub policy: Arc<str>,
    /// The most units that can be had at once.
    pub limit: u64,
    /// How many more units could be had now, for all this policy knows.
    pub remaining: u64,
    /// How long to wait, if this policy had too little left; zero if it had enough.
    pub retry_after: Duration,
    /// How long until it holds nothing against the subject.
    pub reset_after: Duration,
    pub(crate) mark: Mark,
}

impl Decision {
    /// What follows from the states of all policies; `policies` is not empty.
    pub(crate) fn new(source: Source, charged: u64, policies: Vec<PolicyState>) -> Self {
        let tightest =
            policies.iter().min_by_key(|state| (std::cmp::Reverse(state.retry_after), state.remaining));
        let Some(PolicyState { policy, limit, remaining, retry_after, reset_after, .. }) = tightest.cloned()
        else {
            unreachable!("a limiter has a policy");
        };
        let outcome = match source {
            _ if !retry_after.is_zero() => Outcome::Denied { retry_after },
            Source::Fallback(reason) => Outcome::Degraded(reason),
            _ => Outcome::Allowed,
        };
        Self { outcome, policy, limit, charged, remaining, reset_after, source, policies }
    }

    /// Whether the request may go on, counted or not.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        !matches!(self.outcome, Outcome::Denied { .. })
    }

    /// How long to wait, if the request may not go on.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Denied { retry_after } => Some(retry_after),
            Outcome::Allowed | Outcome::Degraded(_) => None,
        }
    }

    /// What each policy said, in the order they were given.
    #[must_use]
    pub fn policies(&self) -> &[PolicyState] {
        &self.policies
    }

    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.policies.iter().map(|state| state.mark).collect()
    }

    /// The policies that had too little left.
    pub fn violated(&self) -> impl Iterator<Item = &PolicyState> {
        self.policies.iter().filter(|state| !state.retry_after.is_zero())
    }
}

impl Decision {
    /// The same denial when `passed` of its time is over, made here; `None` if no wait is left.
    pub(crate) fn still_denied_after(&self, passed: Duration) -> Option<Self> {
        (self.retry_after()? > passed).then(|| self.part(0, 0, Source::LocalDenial, passed))
    }

    /// What `source` answers on the ground of this decision when `passed` of its time is over, and
    /// `back` of what it charged is not spent.
    pub(crate) fn part(&self, charged: u64, back: u64, source: Source, passed: Duration) -> Self {
        let mut policies = self.policies.clone();
        for state in &mut policies {
            state.remaining = state.remaining.saturating_add(back);
            state.retry_after = state.retry_after.saturating_sub(passed);
            state.reset_after = state.reset_after.saturating_sub(passed);
        }
        Self::new(source, charged, policies)
    }
}

impl PolicyState {
    /// That of a policy that nobody could ask.
    pub(crate) fn unknown(policy: &Policy, retry_after: Duration) -> Self {
        Self {
            policy: policy.shared_name(),
            limit: policy.largest_cost().get(),
            remaining: 0,
            retry_after,
            reset_after: retry_after,
            mark: Mark::NONE,
        }
    }
}

impl Degraded {
    /// Whether the request may have been charged all the same.
    #[must_use]
    pub fn may_have_charged(self) -> bool {
        self == Self::NoAnswer
    }
}
