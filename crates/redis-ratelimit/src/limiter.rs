//! The handle that a service holds.

use crate::decision::{Decision, PolicyState, Source};
use crate::error::Error;
use crate::keys;
use crate::options::Policy;
use crate::scripts::{self, Ask};
use crate::telemetry;
use redis_patterns_core::{Key, Redis};
use std::num::NonZeroU64;
use std::time::Duration;

/// A limit on how often each subject may do something; cheap to clone.
///
/// A subject is a user, an address, a tenant: any bytes.
///
/// # One name, one limit
///
/// The name and the kind of the policy are part of the key. Two limiters of one name and kind share
/// what they hold, also if their numbers differ: so a limit can change while the service runs, and
/// what was charged stays charged. A limit that becomes another kind starts anew.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    redis: Redis,
    policy: Policy,
}

impl RateLimiter {
    /// A limiter that counts on `redis`, by any of the policies.
    #[must_use]
    pub fn new(redis: Redis, policy: impl Into<Policy>) -> Self {
        Self { redis, policy: policy.into() }
    }

    /// Charges one request of `subject` and says whether it may go on. One round trip; a denial
    /// charges nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer: the caller decides whether to let the request
    /// through ([`Error::is_outage`] tells an outage from a mistake).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped check may still charge.
    ///
    /// # If the reply is lost
    ///
    /// The request may have been charged. Checking again can only refuse more, never admit more.
    pub async fn check(&self, subject: impl AsRef<[u8]>) -> Result<Decision, Error> {
        self.check_n(subject, NonZeroU64::MIN).await
    }

    /// Charges a request that costs `cost` units: all of them or none. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::CostExceedsLimit`], before anything is sent, if no wait would ever be enough;
    /// otherwise as [`RateLimiter::check`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped check may still charge.
    ///
    /// # If the reply is lost
    ///
    /// The units may have been charged, all or none.
    pub async fn check_n(&self, subject: impl AsRef<[u8]>, cost: NonZeroU64) -> Result<Decision, Error> {
        let ask = self.whole(cost)?;
        self.ask(subject.as_ref(), ask).await
    }

    /// Charges as many units as there are, at most `most`: [`Decision::charged`] says how many. It
    /// is denied only if there is not one. One round trip.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::check`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped call may still charge.
    ///
    /// # If the reply is lost
    ///
    /// Up to `most` units may have been charged.
    pub async fn at_most(&self, subject: impl AsRef<[u8]>, most: NonZeroU64) -> Result<Decision, Error> {
        self.ask(subject.as_ref(), Ask { least: NonZeroU64::MIN, most: most.get() }).await
    }

    /// What [`RateLimiter::check`] would answer now. It charges nothing. One round trip.
    ///
    /// # No promise
    ///
    /// Another request may take the last unit right after: to be admitted, check.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::check`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # If the reply is lost
    ///
    /// Nothing has changed.
    pub async fn peek(&self, subject: impl AsRef<[u8]>) -> Result<Decision, Error> {
        self.ask(subject.as_ref(), Ask { least: NonZeroU64::MIN, most: 0 }).await
    }

    /// Gives back up to `units` of what `decision` charged to `subject`, for work that was not done,
    /// and says how many came back. One round trip; none if the decision charged nothing.
    ///
    /// It is bound to what was charged: a window that is over, and what a bucket has refilled since,
    /// make no room, so a late refund never admits more than the limit. From a
    /// [`SlidingLog`](crate::SlidingLog) it takes as many steps as there were requests since.
    ///
    /// # Once
    ///
    /// `decision.charged` shrinks by `units` before anything is sent, so one decision gives back no
    /// more than it charged. A copy of it kept elsewhere could: then the units of others are freed.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped refund may still happen.
    ///
    /// # If the reply is lost
    ///
    /// The units may have come back, all or none. The decision does not offer them again.
    pub async fn refund(
        &self,
        subject: impl AsRef<[u8]>,
        decision: &mut Decision,
        units: NonZeroU64,
    ) -> Result<u64, Error> {
        let units = units.get().min(decision.charged);
        if units == 0 {
            return Ok(0);
        }
        decision.charged -= units;
        let key = self.key(subject.as_ref());
        scripts::refund(&self.redis, &key, decision.mark(), units, &self.policy).await
    }

    /// Forgets what this limit holds against `subject`, and says whether there was anything. One
    /// round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped reset may still happen.
    ///
    /// # If the reply is lost
    ///
    /// It may have happened. Resetting again also forgets what was charged in between.
    pub async fn reset(&self, subject: impl AsRef<[u8]>) -> Result<bool, Error> {
        scripts::forget(&self.redis, &self.key(subject.as_ref())).await
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    pub(crate) fn policies(&self) -> &[Policy] {
        std::slice::from_ref(&self.policy)
    }

    /// The same limits for units that are spent up to `hold` after they were charged.
    pub(crate) fn spent_within(&self, hold: Duration) -> Result<Self, Error> {
        Ok(Self::new(self.redis.clone(), self.policy.spent_within(hold)?))
    }

    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { redis: self.redis.with_deadline(deadline), ..self.clone() }
    }

    /// All units of `cost` or none, if they can ever be had.
    pub(crate) fn whole(&self, cost: NonZeroU64) -> Result<Ask, Error> {
        let limit = self.policy.largest_cost();
        if cost > limit {
            return Err(Error::CostExceedsLimit { cost: cost.get(), limit: limit.get() });
        }
        Ok(Ask { least: cost, most: cost.get() })
    }

    fn key(&self, subject: &[u8]) -> Key {
        keys::limit(self.redis.namespace(), subject, &self.policy)
    }

    pub(crate) async fn ask(&self, subject: &[u8], ask: Ask) -> Result<Decision, Error> {
        telemetry::asked(self.ask_redis(subject, ask)).await
    }

    async fn ask_redis(&self, subject: &[u8], ask: Ask) -> Result<Decision, Error> {
        let (redis, key) = (&self.redis, &self.key(subject));
        let answer = match &self.policy {
            Policy::FixedWindow(policy) => scripts::fixed_window(redis, key, ask, policy).await,
            Policy::TokenBucket(policy) => scripts::token_bucket(redis, key, ask, policy).await,
            Policy::SlidingLog(policy) => scripts::sliding_log(redis, key, ask, policy).await,
            Policy::SlidingWindow(policy) => scripts::sliding_window(redis, key, ask, policy).await,
        };
        let answer = answer?;
        let state = PolicyState {
            policy: self.policy.shared_name(),
            limit: self.policy.largest_cost().get(),
            remaining: answer.left,
            retry_after: answer.wait,
            reset_after: answer.reset_after,
            mark: answer.mark,
        };
        Ok(Decision::new(Source::Redis, answer.taken, vec![state]))
    }
}
