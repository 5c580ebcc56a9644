//! The handle that a service holds.

use crate::downstream::{FenceStore, SealError, Verdict};
use crate::error::Error;
use crate::fence::FencingToken;
use crate::guard::LockGuard;
use crate::hold::Hold;
use crate::inbox::Inboxes;
use crate::inspection::{Forced, Inspection};
use crate::janitor::{Claim, Janitor};
use crate::keys::LockKeys;
use crate::options::LockOptions;
use crate::pending::{Ask, Pending};
use crate::scripts::{self, Acquired};
use crate::waiting::{InLine, Turn};
use redis_patterns_core::{BootInstant, Redis, Token};
use std::time::Duration;

/// The locks of one application; cheap to clone.
#[derive(Clone, Debug)]
pub struct Locks {
    redis: Redis,
    options: LockOptions,
    janitor: Janitor,
    inboxes: Inboxes,
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
        Self { janitor: Janitor::new(redis.clone()), redis, options, inboxes: Inboxes::default() }
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
        let claim = self.claim(name.as_ref())?;
        match Pending::new(Ask::Try, &self.redis, &claim, &self.janitor).await? {
            Acquired::Busy { lease_left } => Ok(TryLock::Busy { retry_after: lease_left }),
            Acquired::Yes(fence) => self.guard(claim, fence),
        }
    }

    /// Takes the lock called `name`, waiting at most `patience` for its turn: first come, first
    /// served. Whoever releases gives the lock to the first that waits, so nobody polls.
    ///
    /// Uncontended it costs one round trip. Who waits costs three in all: to join the queue, to
    /// accept, to release; beside them one a second to say that it is alive, and the subscription
    /// that all waiters of a name in this process share.
    ///
    /// # The order is not a promise
    ///
    /// A waiter that says nothing for 3 s loses its place, one that is given the lock has 2 s to
    /// accept it, and when a holder died [`Locks::try_lock`] may come between. Through a failover
    /// the queue is formed anew.
    ///
    /// # Errors
    ///
    /// As [`Locks::try_lock`]; [`TryLock::Busy`] if the patience is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call leaves the queue, and gives on what it was given.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::try_lock`]; the place in the queue is kept.
    pub async fn lock(&self, name: impl AsRef<[u8]>, patience: Duration) -> Result<TryLock, Error> {
        let started = BootInstant::now();
        let claim = self.claim(name.as_ref())?;
        if !self.inboxes.is_open(&claim.keys) {
            match Pending::new(Ask::Try, &self.redis, &claim, &self.janitor).await? {
                Acquired::Yes(fence) => return self.guard(claim, fence),
                Acquired::Busy { lease_left } if started.remaining_of(patience).is_zero() => {
                    return Ok(TryLock::Busy { retry_after: lease_left });
                }
                Acquired::Busy { .. } => {}
            }
        }
        let waiter = self.inboxes.join(&self.redis, &claim.keys, &claim.token).await?;
        let (redis, janitor) = (self.redis.clone(), self.janitor.clone());
        let line = InLine { redis, claim: claim.clone(), janitor, waiter, queued: false };
        match line.wait(started, patience).await? {
            Turn::Mine { fence, sent } => self.guard(Claim { sent, ..claim }, fence),
            Turn::GaveUp { lease_left } => Ok(TryLock::Busy { retry_after: lease_left }),
        }
    }

    /// Who holds the lock called `name`, under which fence and for how long, and how many wait. One
    /// round trip; it changes nothing.
    ///
    /// # Old when it is read
    ///
    /// For people and dashboards: to decide on it whether to work is what the lock is there for.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis did not answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn inspect(&self, name: impl AsRef<[u8]>) -> Result<Inspection, Error> {
        scripts::inspect(&self.redis, &LockKeys::of(self.redis.namespace(), name.as_ref())).await
    }

    /// Takes the lock called `name` from the holder with this fence, as [`Locks::inspect`] showed
    /// it; a newer holder keeps it. One round trip. Who waits is served within a second.
    ///
    /// # The holder works on until it notices
    ///
    /// At its next renewal, extension or release, at the latest when its lease ends. Downstream its
    /// fence is refused as soon as the next holder's is [sealed](Locks::try_lock_sealed) there.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis did not answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may have been freed.
    ///
    /// # If the reply is lost
    ///
    /// It may have been freed. Doing it again harms no newer holder.
    pub async fn force_release(&self, name: impl AsRef<[u8]>, fence: FencingToken) -> Result<Forced, Error> {
        let keys = LockKeys::of(self.redis.namespace(), name.as_ref());
        scripts::force_release(&self.redis, &keys, fence).await
    }

    fn claim(&self, name: &[u8]) -> Result<Claim, Error> {
        Ok(Claim {
            keys: LockKeys::of(self.redis.namespace(), name),
            token: Token::random()?,
            sent: BootInstant::now(),
            lease: self.options.lease_time(),
            memory: self.options.memory_time(),
        })
    }

    /// The guard of a grant.
    fn guard(&self, claim: Claim, fence: FencingToken) -> Result<TryLock, Error> {
        let hold = Hold::new(claim, fence, self.options.validity(), self.options.max_hold());
        let guard = LockGuard::new(self.redis.clone(), self.janitor.clone(), hold);
        // An answer that took longer than the lease is no lock; the guard's drop frees it.
        guard.fence()?;
        Ok(TryLock::Acquired(guard))
    }

    /// Takes the lock called `name` and [seals](FenceStore::seal) its fence at `store` before
    /// anybody reads there: from then on a late holder is refused, even before the new one writes.
    ///
    /// If the store has seen a higher fence although the lock is held (Redis lost its data and its
    /// clock was set back), the fence is [raised](LockGuard::raise_fence) above it once. One round
    /// trip and one call of the store.
    ///
    /// # Errors
    ///
    /// [`SealError`]; the lock is then freed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the lock is freed; the fence may stay sealed, which refuses only late holders.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::try_lock`].
    pub async fn try_lock_sealed<S: FenceStore>(
        &self,
        name: &str,
        store: &S,
    ) -> Result<TryLock, SealError<S::Error>> {
        let guard = match self.try_lock(name).await? {
            TryLock::Acquired(guard) => guard,
            busy @ TryLock::Busy { .. } => return Ok(busy),
        };
        let fence = guard.fence().map_err(Error::from)?;
        let Verdict::Stale { highest } = store.seal(name, fence).await.map_err(SealError::Store)? else {
            return Ok(TryLock::Acquired(guard));
        };
        let fence = guard.raise_fence(highest).await?;
        match store.seal(name, fence).await.map_err(SealError::Store)? {
            Verdict::Admitted => Ok(TryLock::Acquired(guard)),
            Verdict::Stale { highest } => Err(SealError::Stale { highest }),
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
