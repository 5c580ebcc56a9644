//! A lock that is held.

use crate::error::{Error, Lost};
use crate::fence::FencingToken;
use crate::janitor::{Claim, Grant, Janitor};
use crate::scripts::{self, Freed};
use redis_patterns_core::{BootInstant, Redis};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A lock that this process holds, until it is released, dropped, or its lease ends.
///
/// Dropping it frees the lock by a background task, also where no runtime is current;
/// [`LockGuard::release`] does so and answers whether it was held to the end.
///
/// # Holding the guard proves nothing
///
/// A process can stand still between any two of its instructions and wake up after its lease, when
/// somebody else holds the lock. What keeps the protected data right is the fence: hand it to the
/// system that stores them, which refuses a lower one than it has seen. Where that cannot be, the
/// lock saves double work, no more.
#[must_use = "a guard that is dropped frees its lock"]
pub struct LockGuard {
    redis: Redis,
    janitor: Janitor,
    claim: Claim,
    fence: FencingToken,
    validity: Duration,
    state: Mutex<State>,
    armed: bool,
}

/// Until when the lock is certainly held.
#[derive(Clone, Copy, Debug)]
enum State {
    Held { since: BootInstant },
    Lost(Lost),
}

/// What a release found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lapsed lock may have been held by somebody else meanwhile"]
pub enum Released {
    /// The lock was held by this guard from its grant to this moment, by nobody else between.
    InTime,
    /// It was no longer held: the lease had ended, and somebody else may have had it since.
    Lapsed,
}

impl LockGuard {
    pub(crate) fn new(
        redis: Redis,
        janitor: Janitor,
        claim: Claim,
        fence: FencingToken,
        validity: Duration,
    ) -> Self {
        let state = Mutex::new(State::Held { since: claim.sent });
        Self { redis, janitor, claim, fence, validity, state, armed: true }
    }

    /// The fence of this grant, to be sent along with every write to what the lock protects.
    ///
    /// # Errors
    ///
    /// [`Lost`] once the guard's time is over, counted from the send of the last request that was
    /// answered, and from then on.
    pub fn fence(&self) -> Result<FencingToken, Lost> {
        self.held().map(|_| self.fence)
    }

    /// How long the guard is certainly held from now on; zero once it is lost.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.held().unwrap_or_default()
    }

    /// Holds the lock for a whole lease from now. One round trip. Never takes a lost lock again.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the time was over before the answer came or the server has the lock no
    /// longer for this holder; [`Error::Redis`] if Redis did not answer: the guard then still
    /// holds for [`LockGuard::time_left`], and extending may be tried again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the lease may have been extended, the guard counts the shorter one.
    ///
    /// # If the reply is lost
    ///
    /// The same: a lease that is longer at the server than here harms nobody.
    pub async fn extend(&self) -> Result<(), Error> {
        self.held()?;
        let sent = BootInstant::now();
        let Claim { keys, token, lease, .. } = &self.claim;
        if scripts::extend(&self.redis, keys, token, self.fence, *lease).await? {
            Ok(self.renew(sent)?)
        } else {
            self.lose(Lost::Gone);
            Err(Lost::Gone.into())
        }
    }

    /// Frees the lock and says whether it was held to the end. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis did not answer; a background task goes on trying until the lease
    /// has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call is finished by a background task, without an answer.
    ///
    /// # If the reply is lost
    ///
    /// The error says that the lock may have been freed; either way it will be.
    pub async fn release(mut self) -> Result<Released, Error> {
        let freed = scripts::release(&self.redis, &self.claim.keys, &self.claim.token).await?;
        self.armed = false;
        Ok(match freed {
            Freed::Yes => Released::InTime,
            Freed::FreeAlready | Freed::HeldByAnother => Released::Lapsed,
        })
    }

    /// What is left of the validity; an end that is noticed is remembered.
    fn held(&self) -> Result<Duration, Lost> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Lost(reason) => Err(reason),
            State::Held { since } => {
                let left = since.remaining_of(self.validity);
                if left.is_zero() {
                    *state = State::Lost(Lost::Expired);
                    return Err(Lost::Expired);
                }
                Ok(left)
            }
        }
    }

    /// Counts the validity from `sent`, unless the guard was lost while the answer was awaited.
    fn renew(&self, sent: BootInstant) -> Result<(), Lost> {
        self.held()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Held { since } = &mut *state {
            *since = sent.max(*since);
        }
        Ok(())
    }

    fn lose(&self, reason: Lost) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Held { .. } = *state {
            *state = State::Lost(reason);
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if self.armed {
            let since = match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
                State::Held { since } => since,
                State::Lost(_) => self.claim.sent,
            };
            let claim = Claim { sent: since, ..self.claim.clone() };
            self.janitor.free(claim, Grant::Known);
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("lock", &self.claim.keys.lock)
            .field("fence", &self.fence)
            .field("time_left", &self.time_left())
            .finish_non_exhaustive()
    }
}
