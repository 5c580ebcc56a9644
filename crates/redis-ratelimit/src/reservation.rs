//! Units held for a cost that is known only later.

use crate::decision::Decision;
use crate::error::Error;
use crate::limiter::RateLimiter;
use crate::scripts::{self, Ask, Limit, Makes};
use redis_patterns_core::{Redis, Token, until_answered};
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// The answer to [`RateLimiter::reserve`].
#[derive(Debug)]
#[must_use = "a reservation that is dropped is cancelled"]
pub enum Reserved {
    /// The units are held.
    Held(Reservation),
    /// There were too few; nothing was charged.
    Denied(Decision),
}

/// Units that are charged in full until it is known how many the work took.
///
/// [`Reservation::commit`] keeps what the work took and gives the rest back to the window they were
/// taken from: a window that is over, or one that came after it, is left alone. Dropping it cancels
/// it, by a background task. If the process dies, the first check after the deadline gives all of it
/// back.
#[must_use = "a reservation that is dropped is cancelled"]
pub struct Reservation {
    redis: Redis,
    limits: Vec<Limit>,
    id: Token,
    decision: Decision,
    /// What is given back when it is dropped, `None` once it is settled.
    back_on_drop: Option<u64>,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "work that was settled too late is not counted"]
pub enum Settled {
    /// The reservation was open until now.
    Now {
        /// The units that came back: less than what was not used if some had come back by themselves,
        /// and of several policies the fewest.
        returned: u64,
    },
    /// It was not open any more: it was settled before (perhaps the reply was lost), reset, or past
    /// its deadline and given back, and then the work is not counted. Of several policies it is enough
    /// that one had given it back, to another limiter that shares it: the others are settled now.
    Before,
}

impl RateLimiter {
    /// Charges `estimate` units for work whose cost is known only later, and says whether it may
    /// start. One round trip.
    ///
    /// Reserve the most that it may cost: a commit takes no more. `deadline` is the longest that the
    /// work may take (at most 142 years): after it, all is given back.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::check_n`].
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still charge, until the deadline.
    ///
    /// # If the reply is lost
    ///
    /// The units may be charged, until the deadline.
    pub async fn reserve(
        &self,
        subject: impl AsRef<[u8]>,
        estimate: NonZeroU64,
        deadline: Duration,
    ) -> Result<Reserved, Error> {
        let ask: Ask = self.whole(estimate)?;
        let (id, limits) = (Token::random()?, self.limits(subject.as_ref()));
        let makes = Makes::Reservation(&id, deadline.max(Duration::from_millis(1)));
        let decision = self.decide(&limits, ask, makes).await?;
        if !decision.is_allowed() {
            return Ok(Reserved::Denied(decision));
        }
        let (redis, back_on_drop) = (self.redis().clone(), Some(decision.charged));
        Ok(Reserved::Held(Reservation { redis, limits, id, decision, back_on_drop }))
    }
}

impl Reservation {
    /// The decision that charged the units.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Keeps the `actual` units that the work took and gives back the rest. One round trip; up to
    /// three if Redis does not answer.
    ///
    /// Of more than was reserved, what was reserved is kept; [`RateLimiter::penalize`] charges more.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer. It may be tried again; a drop tries it once more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: calling it again, or dropping the reservation, finishes it.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again: only the first that arrives changes anything. The answer may then be
    /// [`Settled::Before`].
    pub async fn commit(&mut self, actual: u64) -> Result<Settled, Error> {
        if self.back_on_drop.is_none() {
            return Ok(Settled::Before);
        }
        let back = self.decision.charged.saturating_sub(actual);
        self.back_on_drop = Some(back);
        let settled = until_answered(|| self.settle(back)).await?;
        self.back_on_drop = None;
        Ok(settled)
    }

    /// Gives all of it back: the work was not done. As [`Reservation::commit`] of nothing.
    ///
    /// # Errors
    ///
    /// As [`Reservation::commit`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call is finished by a background task.
    ///
    /// # If the reply is lost
    ///
    /// As [`Reservation::commit`].
    pub async fn cancel(mut self) -> Result<Settled, Error> {
        self.commit(0).await
    }

    async fn settle(&self, back: u64) -> Result<Settled, redis_patterns_core::Error> {
        let (marks, reserved) = (self.decision.marks(), self.decision.charged);
        let back = scripts::settle(&self.redis, &self.limits, &marks, &self.id, reserved, back).await?;
        let all: Option<Vec<u64>> = back.into_iter().collect();
        let fewest = all.and_then(|all| all.into_iter().min());
        Ok(fewest.map_or(Settled::Before, |returned| Settled::Now { returned }))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(back) = self.back_on_drop.take() else { return };
        let rest = Self {
            redis: self.redis.clone(),
            limits: std::mem::take(&mut self.limits),
            id: self.id.clone(),
            decision: self.decision.clone(),
            back_on_drop: None,
        };
        self.redis.detach(async move { until_answered(|| rest.settle(back)).await });
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("decision", &self.decision).finish_non_exhaustive()
    }
}
