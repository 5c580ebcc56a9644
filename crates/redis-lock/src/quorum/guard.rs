//! A quorum lock that is held.

use super::attempt::Attempt;
use crate::error::{Error, Lost};
use crate::guard::Released;
use crate::hold::Hold;
use crate::scripts::{self, Freed};
use redis_patterns_core::BootInstant;
use std::ops::Deref;

/// A lock that a majority of servers has granted, until it is released, dropped, or its lease ends.
///
/// As a [`LockGuard`](crate::LockGuard), it proves nothing by being held: hand its fence to the
/// system that stores the data. Its fence, what is left of its time, and the news of its loss are those
/// of its [`Hold`].
#[derive(Debug)]
#[must_use = "a guard that is dropped frees its lock"]
pub struct QuorumGuard {
    attempt: Attempt,
    hold: Hold,
}

impl QuorumGuard {
    pub(super) fn new(attempt: Attempt, hold: Hold) -> Self {
        Self { attempt, hold }
    }

    /// Holds the lock for a whole lease from now, if a majority still has it. One round trip to all
    /// servers. Never takes a lost lock again.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if so many have it no longer that there is no majority; [`Error::Redis`] if too
    /// few answered: the guard then still holds for [`Hold::time_left`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the lease may have been extended, the guard counts the shorter one.
    ///
    /// # If the reply is lost
    ///
    /// That server does not count.
    pub async fn extend(&self) -> Result<(), Error> {
        let (_, left) = self.hold.held()?;
        let sent = BootInstant::now();
        let all = (0..self.attempt.nodes.len()).collect();
        let votes = self.attempt.on_all(all, move |redis, claim| async move {
            scripts::extend(&redis.with_deadline(redis.deadline().min(left)), &claim).await
        });
        let votes = votes.await;
        match votes.error {
            _ if votes.yes >= self.attempt.majority() => Ok(self.hold.renew(sent)?),
            Some(error) if self.attempt.nodes.len() - votes.no >= self.attempt.majority() => {
                Err(error.into())
            }
            _ => Err(self.hold.lose(Lost::Gone).into()),
        }
    }

    /// Frees the lock on all servers, and says whether a majority had it to the end. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if too few answered to say; background tasks go on trying until the lease has
    /// ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call is finished by background tasks.
    ///
    /// # If the reply is lost
    ///
    /// That server does not count; it is freed all the same.
    pub async fn release(mut self) -> Result<Released, Error> {
        let all = (0..self.attempt.nodes.len()).collect();
        let votes = self.attempt.on_all(all, |redis, claim| async move {
            Ok(scripts::release(&redis, &claim).await? == Freed::Yes)
        });
        let votes = votes.await;
        // Whoever did not answer is asked again by the background tasks.
        self.attempt.armed = votes.error.is_some();
        match votes.error {
            _ if votes.yes >= self.attempt.majority() => Ok(Released::InTime),
            Some(error) if self.attempt.nodes.len() - votes.no >= self.attempt.majority() => {
                Err(error.into())
            }
            _ => Ok(Released::Lapsed),
        }
    }
}

impl Deref for QuorumGuard {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for QuorumGuard {
    fn drop(&mut self) {
        self.hold.note_end();
    }
}
