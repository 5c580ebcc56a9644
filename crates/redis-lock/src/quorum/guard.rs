//! A quorum lock that is held.

use super::attempt::Attempt;
use crate::error::{Error, Lost};
use crate::guard::Released;
use crate::hold::Hold;
use crate::janitor::Grant;
use crate::scripts::{self, Freed};
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// The servers that had it when they were last heard of.
    holders: Mutex<Vec<usize>>,
}

impl QuorumGuard {
    pub(super) fn new(attempt: Attempt, hold: Hold, holders: Vec<usize>) -> Self {
        Self { attempt, hold, holders: Mutex::new(holders) }
    }

    /// Holds the lock for a whole lease from now, if a majority still has it. One round trip to all
    /// servers that granted it, of which a slow minority is not waited for. Never takes a lost lock again.
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
        let sent = self.hold.sending();
        let ballot = self.attempt.on_each(&self.holders(), |node, claim| async move {
            let redis = &node.shared().redis;
            scripts::extend(&redis.with_deadline(redis.deadline().min(left)), &claim).await
        });
        let ballot = ballot.decision().await;
        // One that has it no longer counts no more, whatever it says later.
        self.holders().retain(|node| !ballot.no.contains(node));
        match ballot.error {
            _ if ballot.is_carried() => Ok(self.hold.renew(sent)?),
            Some(error) if !ballot.is_lost() => Err(error.into()),
            _ => Err(self.hold.lose(Lost::Gone).into()),
        }
    }

    /// Frees the lock on all servers, and says whether a majority had it to the end. One round trip,
    /// of which a slow minority is not waited for.
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
        self.attempt.claim = self.hold.to_free();
        let ballot = self.attempt.on_each(&self.holders(), |node, claim| async move {
            let freed = scripts::release(&node.shared().redis, &claim).await;
            if freed.is_err() {
                node.shared().janitor.free(claim, Grant::Known);
            }
            Ok(freed? == Freed::Yes)
        });
        // The tasks that ask go on until it is freed.
        self.attempt.armed = false;
        let ballot = ballot.decision().await;
        match ballot.error {
            _ if ballot.is_carried() => Ok(Released::InTime),
            Some(error) if !ballot.is_lost() => Err(error.into()),
            _ => Ok(Released::Lapsed),
        }
    }

    fn holders(&self) -> MutexGuard<'_, Vec<usize>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.attempt.claim = self.hold.to_free();
    }
}
