//! The handle that a service holds.

use crate::decision::Decision;
use crate::error::Error;
use crate::options::Policy;
use crate::rules::Rules;
use crate::scripts::{self, Ask, Limit, Makes};
use redis_patterns_core::Redis;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// A limit on how often each subject may do something; cheap to clone.
///
/// A subject is a user, an address, a tenant: any bytes.
///
/// It may have several policies ([`RateLimiter::and`]): a request is then charged to all of them or
/// to none, in one step, and the [`Decision`] names every one that had too little left.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use redis_ratelimit::{Calendar, FixedWindow, RateLimiter, Redis, SlidingWindow, TokenBucket};
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let many = |count| NonZeroU64::new(count).unwrap();
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// let pace = TokenBucket::new("pace", many(10), Duration::from_secs(1))?.burst(many(20))?;
/// let limiter = RateLimiter::new(redis, pace)
///     .and(SlidingWindow::new("hourly", many(1_000), Duration::from_secs(3_600))?)?
///     .and(FixedWindow::calendar("quota", many(5_000), Calendar::Day)?)?;
///
/// let decision = limiter.check("tenant-7").await?;
/// for state in decision.violated() {
///     println!("{} is used up for {:?}", state.policy, state.retry_after);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # One name, one limit
///
/// The name and the kind of the policy are part of the key. Two limiters of one name and kind share
/// what they hold, also if their numbers differ: so a limit can change while the service runs, and
/// what was charged stays charged. A limit that becomes another kind starts anew.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    redis: Redis,
    policies: Arc<[Policy]>,
    rules: Rules,
}

impl RateLimiter {
    /// A limiter that counts on `redis`, by any of the policies.
    #[must_use]
    pub fn new(redis: Redis, policy: impl Into<Policy>) -> Self {
        let policy = policy.into();
        Self { redis, rules: Rules::one(policy.rule()), policies: Arc::new([policy]) }
    }

    /// The same limiter with one more policy.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] if it has a policy of this name: each is told from the others by its name.
    pub fn and(self, policy: impl Into<Policy>) -> Result<Self, Error> {
        let policy = policy.into();
        let rules = self.rules.and(policy.rule())?;
        let policies = self.policies.iter().cloned().chain([policy]).collect();
        Ok(Self { redis: self.redis, policies, rules })
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
    /// make no room, so a late refund never admits more than the limit. A
    /// [`TokenBucket`](crate::TokenBucket) does not know whose units it has refilled, so it keeps back all
    /// that refilled since the request. From a
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
        let held = decision.charged;
        decision.charged -= units;
        let (limits, marks) = (self.limits(subject.as_ref()), decision.marks());
        let limits = &limits[..marks.len().min(limits.len())];
        let back = scripts::refund(&self.redis, limits, &marks, held, units).await?;
        Ok(back.into_iter().min().unwrap_or_default())
    }

    /// Charges up to `units` for what `subject` did, such as a wrong password, though it asks for
    /// nothing: all of them, or what is left. One round trip.
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
    /// Up to `units` may have been charged.
    pub async fn penalize(&self, subject: impl AsRef<[u8]>, units: NonZeroU64) -> Result<Decision, Error> {
        self.at_most(subject, units).await
    }

    /// Denies `subject` everything for `span` from now, and says until when it is denied: longer if it
    /// was denied for longer before. One round trip.
    ///
    /// Nothing is charged or forgotten; [`RateLimiter::reset`] ends the block too. Up to a
    /// millisecond, rounded up. A blocked subject has no units left.
    ///
    /// The block is of the name of the policy: other limiters with a policy of this name, also one of
    /// another kind, deny the subject too. A block whose key lost its TTL ends an hour after the next check.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped call may still block.
    ///
    /// # If the reply is lost
    ///
    /// It may be blocked. Blocking again does no harm.
    pub async fn block_for(&self, subject: impl AsRef<[u8]>, span: Duration) -> Result<Duration, Error> {
        Ok(scripts::block(&self.redis, &self.limits(subject.as_ref()), span).await?)
    }

    /// Forgets what this limit holds against `subject`, a block and reservations too, and says whether
    /// there was anything. One round trip.
    ///
    /// Refund nothing that was charged before: in the same window it would free units that were
    /// charged after the reset.
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
        Ok(scripts::forget(&self.redis, &self.limits(subject.as_ref())).await?)
    }

    /// The policies, in the order they were given.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The same limits for units that are spent up to `hold` after they were charged.
    pub(crate) fn spent_within(&self, hold: Duration) -> Result<Self, Error> {
        let policies = self.policies.iter().map(|policy| policy.spent_within(hold));
        let policies = policies.collect::<Result<Arc<[_]>, _>>()?;
        let rules = Rules::of_all(policies.iter().map(Policy::rule));
        Ok(Self { redis: self.redis.clone(), policies, rules })
    }

    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { redis: self.redis.with_deadline(deadline), ..self.clone() }
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// All units of `cost` or none, if they can ever be had.
    pub(crate) fn whole(&self, cost: NonZeroU64) -> Result<Ask, Error> {
        self.rules.whole(cost)
    }

    pub(crate) fn limits(&self, subject: &[u8]) -> Vec<Limit> {
        self.rules.of(self.redis.namespace(), subject)
    }

    pub(crate) async fn ask(&self, subject: &[u8], ask: Ask) -> Result<Decision, Error> {
        self.decide(&self.limits(subject), ask, Makes::Nothing).await
    }

    /// As [`RateLimiter::ask`], for whoever watches it.
    pub(crate) async fn ask_unwatched(&self, subject: &[u8], ask: Ask) -> Result<Decision, Error> {
        self.rules.ask(&self.redis, &self.limits(subject), ask, Makes::Nothing).await
    }

    /// As [`RateLimiter::ask_unwatched`] for each of these subjects, as one call; `None` for one of whom nothing
    /// can be said. On a single server only.
    pub(crate) async fn ask_each(&self, questions: &[(&[u8], Ask)]) -> Result<Vec<Option<Decision>>, Error> {
        let limits = |(subject, ask): &(&[u8], Ask)| (self.limits(subject), *ask);
        self.rules.check_each(&self.redis, &questions.iter().map(limits).collect::<Vec<_>>()).await
    }

    pub(crate) async fn decide(
        &self,
        limits: &[Limit],
        ask: Ask,
        makes: Makes<'_>,
    ) -> Result<Decision, Error> {
        self.rules.check(&self.redis, limits, ask, makes).await
    }
}
