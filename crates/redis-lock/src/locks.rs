//! The handle that a service holds.

use crate::error::Error;
use crate::guard::LockGuard;
use crate::hold::Hold;
use crate::janitor::{Claim, Janitor};
use crate::keys::LockKeys;
use crate::options::LockOptions;
use crate::pending::Pending;
use crate::scripts::Acquired;
use redis_patterns_core::{BootInstant, Redis, Token};
use std::time::Duration;

/// The locks of one application; cheap to clone.
#[derive(Clone, Debug)]
pub struct Locks {
    redis: Redis,
    options: LockOptions,
    janitor: Janitor,
}

/// What a try to take a lock answers.
#[derive(Debug)]
#[must_use = "a lock that nobody looks at is released at once"]
#[non_exhaustive]
pub enum TryLock {
    /// The lock is held, until the guard is released or dropped or its lease ends.
    Acquired(LockGuard),
    /// Somebody else holds it.
    Busy {
        /// What is left of the holder's lease: an upper bound unless the holder extends it.
        retry_after: Duration,
    },
}

impl TryLock {
    /// The guard, if the lock was free.
    #[must_use]
    pub fn acquired(self) -> Option<LockGuard> {
        match self {
            Self::Acquired(guard) => Some(guard),
            Self::Busy { .. } => None,
        }
    }
}

impl Locks {
    /// Locks kept on `redis`. All who lock the same names must use the same namespace.
    #[must_use]
    pub fn new(redis: Redis, options: LockOptions) -> Self {
        Self { janitor: Janitor::new(redis.clone()), redis, options }
    }

    /// Takes the lock called `name` (any bytes) if nobody has it. One round trip, which also issues
    /// the guard's fence.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis did not answer, [`Error::Lost`] if it answered after the lease had
    /// ended, [`Error::FenceExhausted`] if something else wrote this name's fence.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what a dropped call has taken, or takes yet, is freed by a background task.
    ///
    /// # If the reply is lost
    ///
    /// A cut connection is no lost reply: the same request is sent again, and finds its own lock
    /// if it was granted. If no answer comes within the command deadline, the error says that the
    /// lock may have been taken, and a background task frees it.
    ///
    /// ```no_run
    /// # async fn example(locks: redis_lock::Locks) -> Result<(), redis_lock::Error> {
    /// use redis_lock::TryLock;
    ///
    /// match locks.try_lock("stock").await? {
    ///     TryLock::Acquired(guard) => println!("fence {}", guard.fence()?),
    ///     TryLock::Busy { retry_after } => println!("busy for at most {retry_after:?}"),
    ///     _ => unreachable!(),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_lock(&self, name: impl AsRef<[u8]>) -> Result<TryLock, Error> {
        let claim = Claim {
            keys: LockKeys::of(self.redis.namespace(), name.as_ref()),
            token: Token::random()?,
            sent: BootInstant::now(),
            lease: self.options.lease_time(),
        };
        let call =
            Pending::new(self.redis.clone(), self.options.clone(), claim.clone(), self.janitor.clone());
        match call.await? {
            Acquired::Busy { lease_left } => Ok(TryLock::Busy { retry_after: lease_left }),
            Acquired::Yes(fence) => {
                let options = &self.options;
                let hold = Hold::new(claim, fence, options.validity(), options.max_hold());
                let guard = LockGuard::new(self.redis.clone(), self.janitor.clone(), hold);
                // An answer that took longer than the lease is no lock; the guard's drop frees it.
                guard.fence()?;
                Ok(TryLock::Acquired(guard))
            }
        }
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &LockOptions {
        &self.options
    }

    /// Waits until every dropped guard and call of this handle and its clones is cleaned up. Call
    /// it before [`Redis::close`], after which nothing can be freed any more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub async fn close(&self) {
        self.janitor.drain().await;
    }
}
