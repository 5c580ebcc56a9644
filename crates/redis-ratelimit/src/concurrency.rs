//! Slots that are held, not used up.

use crate::decision::Decision;
use crate::error::Error;
use crate::options::{Concurrency, Policy};
use crate::rules::Rules;
use crate::scripts::{self, Limit, Makes};
use crate::slot::{Hold, Slot};
use redis_patterns_core::{BootInstant, Redis, Token};
use std::num::NonZeroU64;

/// A limit on how much each subject may do at the same time; cheap to clone.
///
/// It may have policies of rate besides ([`ConcurrencyLimiter::and`]): to enter takes a slot and is
/// charged to all of them, or to none, in one step.
///
/// ```no_run
/// # async fn example(redis: redis_ratelimit::Redis) -> Result<(), Box<dyn std::error::Error>> {
/// use redis_ratelimit::{Concurrency, ConcurrencyLimiter, Entry};
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let exports = Concurrency::new("exports", NonZeroU64::new(3).unwrap(), Duration::from_secs(30))?;
/// let limiter = ConcurrencyLimiter::new(redis, exports);
/// match limiter.enter("tenant-7").await? {
///     Entry::Admitted(slot) => {
///         // The work; the slot is extended meanwhile.
///         slot.release().await?;
///     }
///     Entry::Denied(decision) => println!("busy: {:?}", decision.retry_after()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimiter {
    redis: Redis,
    concurrency: Concurrency,
    /// The first one is that of the slots.
    rules: Rules,
}

/// The answer to [`ConcurrencyLimiter::enter`].
#[derive(Debug)]
#[must_use = "a slot that is dropped is given back"]
pub enum Entry {
    /// The work may start, and ends with the slot.
    Admitted(Slot),
    /// It may not; nothing was taken or charged. If the slots are the reason, `retry_after` is when
    /// one is free if nobody gives one back before and its holder does not extend it.
    Denied(Decision),
}

impl ConcurrencyLimiter {
    /// A limiter that keeps its slots on `redis`.
    #[must_use]
    pub fn new(redis: Redis, concurrency: Concurrency) -> Self {
        let rules = Rules::one(concurrency.rule());
        Self { redis, concurrency, rules }
    }

    /// The same limiter with a policy of rate besides.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] if it has a policy of this name.
    pub fn and(self, policy: impl Into<Policy>) -> Result<Self, Error> {
        Ok(Self { rules: self.rules.and(policy.into().rule())?, ..self })
    }

    /// Takes a slot of `subject`, and one unit of every other policy. One round trip; a denial takes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// A dropped call gives back a slot that it may have taken, by a background task; the units of
    /// other policies stay charged.
    ///
    /// # If the reply is lost
    ///
    /// The same; at the latest the slot is free when its lease ends.
    pub async fn enter(&self, subject: impl AsRef<[u8]>) -> Result<Entry, Error> {
        self.enter_n(subject, NonZeroU64::MIN).await
    }

    /// Takes a slot of `subject`, and `cost` units of every other policy. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::CostExceedsLimit`], before anything is sent, if no wait would ever be enough;
    /// otherwise as [`ConcurrencyLimiter::enter`].
    ///
    /// # Cancel safety
    ///
    /// As [`ConcurrencyLimiter::enter`].
    ///
    /// # If the reply is lost
    ///
    /// As [`ConcurrencyLimiter::enter`].
    pub async fn enter_n(&self, subject: impl AsRef<[u8]>, cost: NonZeroU64) -> Result<Entry, Error> {
        let ask = self.rules.whole(cost)?;
        let limits = self.limits(subject.as_ref());
        let slots = limits[0].clone();
        // Made before the take, so that whatever becomes of this call, its drop gives the slot back.
        let hold = Hold::new(self.redis.clone(), slots, Token::random()?, self.concurrency.lease());
        let sent = BootInstant::now();
        let decision = self.rules.check(&self.redis, &limits, ask, Makes::Slot(hold.id())).await?;
        if decision.is_allowed() {
            hold.set(Some(sent));
            return Ok(Entry::Admitted(Slot::new(hold, decision)));
        }
        hold.disarm();
        Ok(Entry::Denied(decision))
    }

    /// Forgets all slots of `subject` and what the other policies hold against it, and says whether
    /// there was anything. One round trip. Holders learn that they lost theirs when they next extend it.
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
    /// It may have happened. Resetting again also forgets what was taken in between.
    pub async fn reset(&self, subject: impl AsRef<[u8]>) -> Result<bool, Error> {
        Ok(scripts::forget(&self.redis, &self.limits(subject.as_ref())).await?)
    }

    /// The limit of the slots.
    #[must_use]
    pub fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }

    fn limits(&self, subject: &[u8]) -> Vec<Limit> {
        self.rules.of(self.redis.namespace(), subject)
    }
}
