//! One held slot.

use crate::decision::Decision;
use crate::error::Error;
use crate::scripts::{self, Limit};
use redis_patterns_core::{BootInstant, Redis, Token, until_answered};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// A slot that this process holds until it is released, dropped, or lost.
///
/// A background task extends it at a third of its lease. Dropping it gives it back, by a background
/// task, also where no runtime is current.
#[must_use = "a slot that is dropped is given back"]
pub struct Slot {
    hold: Arc<Hold>,
    decision: Decision,
    heartbeat: AbortHandle,
}

impl Slot {
    pub(crate) fn new(hold: Hold, decision: Decision) -> Self {
        let hold = Arc::new(hold);
        let beating = Arc::downgrade(&hold);
        let pause = hold.lease / 3;
        let heartbeat = tokio::spawn(async move {
            let mut wait = pause;
            loop {
                tokio::time::sleep(wait).await;
                let Some(hold) = beating.upgrade() else { return };
                match hold.extend().await {
                    Ok(true) => wait = pause,
                    Ok(false) => return,
                    Err(_) => wait = pause / 5,
                }
            }
        });
        Self { hold, decision, heartbeat: heartbeat.abort_handle() }
    }

    /// The decision that admitted it.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Whether the slot is certainly held: its lease, counted from the send of the last request that
    /// was answered, is not over.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.hold.time_left().is_zero()
    }

    /// Waits until the slot is lost; for ever while it is held and extended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn lost(&self) {
        loop {
            let left = self.hold.time_left();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// Gives the slot back and says whether it was held to the end. One round trip; up to three if
    /// Redis does not answer.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer: a background task tries once more, and at the latest
    /// the slot is free when its lease ends.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call is finished by a background task.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again; the answer may then be `false`.
    pub async fn release(self) -> Result<bool, Error> {
        self.heartbeat.abort();
        let held =
            until_answered(|| scripts::leave(&self.hold.redis, &self.hold.slots, &self.hold.id)).await?;
        self.hold.disarm();
        Ok(held)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("held", &self.is_held()).finish_non_exhaustive()
    }
}

/// What a slot is at the server: dropping it gives it back.
pub(crate) struct Hold {
    redis: Redis,
    slots: Limit,
    id: Token,
    lease: Duration,
    /// The send of the last request that took or extended it; `None` if it is not held.
    since: Mutex<Option<BootInstant>>,
    armed: AtomicBool,
}

impl Hold {
    /// One that may be taken from now on.
    pub(crate) fn new(redis: Redis, slots: Limit, id: Token, lease: Duration) -> Self {
        Self { redis, slots, id, lease, since: Mutex::new(None), armed: AtomicBool::new(true) }
    }

    pub(crate) fn id(&self) -> &Token {
        &self.id
    }

    /// It was taken or extended by a request sent then, or is held no longer.
    pub(crate) fn set(&self, since: Option<BootInstant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// There is nothing to give back.
    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    fn time_left(&self) -> Duration {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.remaining_of(self.lease))
    }

    async fn extend(&self) -> Result<bool, redis_patterns_core::Error> {
        let sent = BootInstant::now();
        let held = scripts::extend(&self.redis, &self.slots, &self.id).await?;
        self.set(held.then_some(sent));
        Ok(held)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if *self.armed.get_mut() {
            let (redis, slots, id) = (self.redis.clone(), self.slots.clone(), self.id.clone());
            self.redis.detach(async move { until_answered(|| scripts::leave(&redis, &slots, &id)).await });
        }
    }
}
