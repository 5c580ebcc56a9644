//! A lock that is held.

use crate::error::Error;
use crate::fence::FencingToken;
use crate::hold::Hold;
use crate::janitor::Grant;
use crate::locks::Shared;
use crate::options::Waiting;
use crate::scripts::{self, Freed};
use crate::{native, watchdog};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A lock that this process holds, until it is released, dropped, or its lease ends.
///
/// Dropping it frees the lock by a background task, also where no runtime is current;
/// [`LockGuard::release`] does so and answers whether it was held to the end. Its fence, what is left
/// of its time, and the news of its loss are those of its [`Hold`].
///
/// # Holding the guard proves nothing
///
/// A process can stand still between any two of its instructions and wake up after its lease, when
/// somebody else holds the lock. What keeps the protected data right is the fence: hand it to the
/// system that stores them, which refuses a lower one than it has seen. Where that cannot be, the
/// lock saves double work, no more.
#[must_use = "a guard that is dropped frees its lock"]
pub struct LockGuard {
    shared: Arc<Shared>,
    /// The watchdog renews it while it lives.
    hold: Arc<Hold>,
    armed: bool,
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
    pub(crate) fn new(shared: Arc<Shared>, hold: Hold) -> Self {
        let hold = Arc::new(hold);
        if hold.is_renewed() {
            shared.watchdog.watch(&shared.redis, &hold);
        }
        Self { shared, hold, armed: true }
    }

    /// Waits until the replicas that the settings ask for have the grant.
    pub(crate) async fn confirm(&self) -> Result<(), Error> {
        let Some(replicas) = &self.shared.replicas else { return Ok(()) };
        let sent = replicas.confirm(&self.shared.redis, &self.hold).await?;
        Ok(self.hold.renew(sent)?)
    }

    /// Holds the lock for a whole lease from now. One round trip. Never takes a lost lock again.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the time was over before the answer came or the server has the lock no
    /// longer for this holder; [`Error::Redis`] if Redis did not answer: the guard then still
    /// holds for [`Hold::time_left`], and extending may be tried again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the lease may have been extended, the guard counts the shorter one.
    ///
    /// # If the reply is lost
    ///
    /// The same: a lease that is longer at the server than here harms nobody.
    pub async fn extend(&self) -> Result<(), Error> {
        self.hold.held()?;
        let sent = self.hold.sending();
        if scripts::extend(&self.shared.redis, &self.hold.claim).await? {
            Ok(self.hold.renew(sent)?)
        } else {
            Err(watchdog::lose(&self.shared.redis, &self.hold).await.into())
        }
    }

    /// Issues a new fence above `seen` under the same hold: the cure if a downstream system has
    /// seen a higher fence than this one, although the lock is held. That is so when Redis lost its
    /// data and its clock was set back. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lock is not held any more: the higher fence is the new holder's.
    /// [`Error::FenceExhausted`] if none is left above `seen`, [`Error::Redis`] if Redis did not
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the guard keeps the fence it has.
    ///
    /// # If the reply is lost
    ///
    /// The same. Raising again issues a higher one yet.
    pub async fn raise_fence(&self, seen: FencingToken) -> Result<FencingToken, Error> {
        self.hold.held()?;
        let redis = &self.shared.redis;
        let Some(fence) = scripts::raise(redis, &self.hold.claim, seen).await? else {
            return Err(watchdog::lose(redis, &self.hold).await.into());
        };
        self.hold.raise(fence)?;
        Ok(fence)
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
        let freed = self.free().await?;
        self.armed = false;
        self.hold.note_end();
        Ok(match freed {
            Freed::Yes => Released::InTime,
            Freed::FreeAlready | Freed::HeldByAnother => Released::Lapsed,
        })
    }

    async fn free(&self) -> Result<Freed, Error> {
        let Shared { redis, options, .. } = &*self.shared;
        if let (Waiting::Polled { .. }, Ok(fence)) = (options.waiting(), self.fence())
            && native::delete_if_held(redis, &self.hold.claim, fence).await?
        {
            return Ok(Freed::Yes);
        }
        Ok(scripts::release(redis, &self.hold.claim).await?)
    }
}

impl Deref for LockGuard {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if self.armed {
            self.hold.note_end();
            self.shared.janitor.free(self.hold.to_free(), Grant::Known);
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(&self.hold).finish()
    }
}
