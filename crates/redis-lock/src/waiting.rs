//! Waiting for one's turn.

use crate::claim::{Ask, Claim};
use crate::error::Error;
use crate::fence::FencingToken;
use crate::inbox::Waiter;
use crate::janitor::{Grant, Janitor};
use crate::pending::Pending;
use crate::scripts::Acquired;
use redis_patterns_core::{BootInstant, Redis};
use std::time::Duration;

/// How long a waiter that is given the lock has to accept it: far above a round trip, and what a
/// waiter that died unnoticed costs the next.
pub(crate) const GRANT: Duration = Duration::from_secs(2);
/// How long a waiter that says nothing more counts as alive.
pub(crate) const ALIVE: Duration = Duration::from_secs(3);
/// How often a waiter says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How waiting ended.
pub(crate) enum Turn {
    /// The lock is this one's, its lease counted from `sent`.
    Mine { fence: FencingToken, sent: BootInstant },
    /// The patience is over.
    GaveUp { lease_left: Duration },
}

/// One that waits. Dropped, it leaves the queue, and gives back what it may have been given.
pub(crate) struct InLine {
    pub(crate) redis: Redis,
    pub(crate) claim: Claim,
    pub(crate) janitor: Janitor,
    pub(crate) waiter: Waiter,
    pub(crate) queued: bool,
}

impl InLine {
    /// Waits for the turn, at most for `patience` from `started`.
    pub(crate) async fn wait(mut self, started: BootInstant, patience: Duration) -> Result<Turn, Error> {
        loop {
            let lease_left = match self.ask().await? {
                Acquired::Yes(fence) => return Ok(self.mine(fence, self.claim.sent)),
                Acquired::Busy { lease_left } => lease_left,
            };
            let left = started.remaining_of(patience);
            if left.is_zero() {
                return Ok(Turn::GaveUp { lease_left });
            }
            // Just after the holder's lease has ended, if it is not extended.
            let look = (lease_left + Duration::from_millis(1)).min(HEARTBEAT).min(left);
            let news = tokio::time::timeout(look, self.waiter.next()).await;
            // A message may be older than the grant that stands, so the fence is the one that is stored:
            // asking again also makes the short grant a whole lease.
            if let Ok(None) = news {
                tokio::time::sleep(look).await;
            }
        }
    }

    async fn ask(&mut self) -> Result<Acquired, Error> {
        self.queued = true;
        self.claim.sent = BootInstant::now();
        Pending::new(Ask::Queue, &self.redis, &self.claim, &self.janitor).await
    }

    fn mine(&mut self, fence: FencingToken, sent: BootInstant) -> Turn {
        self.queued = false;
        Turn::Mine { fence, sent }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if self.queued {
            let claim = Claim { sent: BootInstant::now(), ..self.claim.clone() };
            self.janitor.free(claim, Grant::Known);
        }
    }
}
