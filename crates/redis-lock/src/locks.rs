//! The handle that a service holds.

use crate::claim::{Ask, Claim, HolderToken, Share};
use crate::downstream::{FenceStore, SealError, Verdict};
use crate::durable::Replicas;
use crate::error::Error;
use crate::fence::FencingToken;
use crate::guard::LockGuard;
use crate::hold::Hold;
use crate::inbox::Inboxes;
use crate::inspection::{Forced, Inspection};
use crate::janitor::Janitor;
use crate::keys::{Kind, LockKeys};
use crate::options::{LockOptions, Waiting};
use crate::pending::Pending;
use crate::scripts::{self, Acquired};
use crate::telemetry;
use crate::waiting::{InLine, Turn};
use crate::watchdog::Watchdog;
use redis_patterns_core::{BootInstant, Redis};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// The locks of one application; cheap to clone.
#[derive(Clone, Debug)]
pub struct Locks {
    shared: Arc<Shared>,
}

/// What a handle, its clones and its guards share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) redis: Redis,
    pub(crate) options: LockOptions,
    pub(crate) janitor: Janitor,
    pub(crate) watchdog: Watchdog,
    pub(crate) replicas: Option<Replicas>,
    inboxes: Inboxes,
}

/// What a try to take a lock answers.
#[derive(Debug)]
#[must_use = "a lock that nobody looks at is released at once"]
#[non_exhaustive]
pub enum TryLock<G = LockGuard> {
    /// The lock is held, until the guard is released or dropped or its lease ends.
    Acquired(G),
    /// Somebody else holds it.
    Busy {
        /// What is left of the holder's lease: an upper bound unless the holder extends it.
        retry_after: Duration,
    },
}

impl<G> TryLock<G> {
    /// The guard, if the lock was free.
    #[must_use]
    pub fn acquired(self) -> Option<G> {
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
        let shared = Shared {
            janitor: Janitor::new(redis.clone()),
            watchdog: Watchdog::default(),
            replicas: Replicas::of(options.copies(), &redis),
            inboxes: Inboxes::default(),
            redis,
            options,
        };
        Self { shared: Arc::new(shared) }
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
        self.ask(self.mutex(name.as_ref()), Share::Whole, None).await
    }

    /// Takes the lock called `name`, waiting at most `patience` for its turn: first come, first
    /// served. Whoever releases gives the lock to the first that waits, so nobody polls.
    ///
    /// One task of the runtime of the first call that waits listens for all later ones of this handle: use
    /// a handle of one's own in each runtime.
    ///
    /// Uncontended it costs one round trip. Who waits costs three in all: to join the queue, to
    /// accept, to release; beside them one a second to say that it is alive, and the subscription
    /// that all waiters of a name in this process share.
    ///
    /// # The order is not a promise
    ///
    /// A waiter that says nothing for 3 s loses its place, one that is given the lock has 2 s to
    /// accept it. When a holder died, [`Locks::try_lock`] may come between, and so may this call where
    /// nobody in its process waits yet. Through a failover the queue is formed anew.
    ///
    /// # A server out of memory
    ///
    /// It refuses also a waiter that it had given the lock: the call fails and gives it on.
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
        self.ask(self.mutex(name.as_ref()), Share::Whole, Some(patience)).await
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
        scripts::inspect(&self.shared.redis, &self.mutex(name.as_ref())).await
    }

    /// Takes the lock called `name` from the holder with this fence, as [`Locks::inspect`] showed
    /// it; a newer holder keeps it. One round trip. Who waits is told to ask again, and who did it is
    /// written down for [`Locks::inspect`].
    ///
    /// # The holder works on until it notices
    ///
    /// At its next renewal, extension or release, at the latest when its lease ends; it is then
    /// [`Lost::Revoked`](crate::Lost::Revoked). Downstream it is refused as soon as the fence that this
    /// answers is [sealed](FenceStore::seal) there, or the next holder's.
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
        let Shared { redis, options, .. } = &*self.shared;
        let keys = self.mutex(name.as_ref());
        scripts::force_release(redis, &keys, fence, options.memory_time(), options.label_text()).await
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
    /// [`SealError`], also if the lease ended before the store answered; the lock is then freed.
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
        if let Verdict::Stale { highest } = store.seal(name, fence).await.map_err(SealError::Store)? {
            let fence = guard.raise_fence(highest).await?;
            if let Verdict::Stale { highest } = store.seal(name, fence).await.map_err(SealError::Store)? {
                return Err(SealError::Stale { highest });
            }
        }
        // A seal that took longer than the lease is no lock.
        guard.fence().map_err(Error::from)?;
        Ok(TryLock::Acquired(guard))
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &LockOptions {
        &self.shared.options
    }

    /// Waits until every dropped guard and call of this handle and its clones is cleaned up. Call
    /// it before [`Redis::close`], after which nothing can be freed any more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub async fn close(&self) {
        self.shared.janitor.drain().await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The keys of a name.
    pub(crate) fn keys(&self, kind: Kind, name: &[u8]) -> LockKeys {
        LockKeys::of(kind, self.shared.redis.namespace(), name)
    }

    fn mutex(&self, name: &[u8]) -> LockKeys {
        self.keys(Kind::Mutex, name)
    }

    /// Asks for a lock of any kind, and waits if there is patience.
    pub(crate) async fn ask(
        &self,
        keys: LockKeys,
        share: Share,
        patience: Option<Duration>,
    ) -> Result<TryLock, Error> {
        let span =
            tracing::debug_span!(target: telemetry::TARGET, "lock.acquire", outcome = tracing::field::Empty);
        let claim = self.shared.claim(keys, share)?;
        let started = claim.sent;
        let answer = match (patience, self.shared.options.waiting()) {
            (None, _) => self.try_claim(claim).instrument(span.clone()).await,
            (Some(patience), Waiting::Queued) => self.queue(claim, patience).instrument(span.clone()).await,
            (Some(patience), Waiting::Polled { every }) => {
                self.poll(claim, patience, every).instrument(span.clone()).await
            }
        };
        let outcome = telemetry::outcome(&answer);
        span.record("outcome", outcome);
        telemetry::asked(outcome, started.elapsed());
        answer
    }

    async fn try_claim(&self, claim: Claim) -> Result<TryLock, Error> {
        match self.shared.pending(Ask::Try, &claim).await? {
            Acquired::Busy { lease_left } => Ok(TryLock::Busy { retry_after: lease_left }),
            Acquired::Yes(fence) => self.guard(claim, fence).await,
        }
    }

    async fn queue(&self, claim: Claim, patience: Duration) -> Result<TryLock, Error> {
        let Shared { redis, janitor, inboxes, .. } = &*self.shared;
        let started = claim.sent;
        if !inboxes.is_open(&claim.keys) {
            match self.try_claim(claim.clone()).await? {
                TryLock::Busy { .. } if !started.remaining_of(patience).is_zero() => {}
                answer => return Ok(answer),
            }
        }
        let waiter = inboxes.join(redis, &claim.keys, &claim.token).await?;
        let (redis, janitor) = (redis.clone(), janitor.clone());
        let line = InLine { redis, claim: claim.clone(), janitor, waiter, queued: false };
        match line.wait(started, patience).await? {
            Turn::Mine { fence, sent } => self.guard(Claim { sent, ..claim }, fence).await,
            Turn::GaveUp { lease_left } => Ok(TryLock::Busy { retry_after: lease_left }),
        }
    }

    async fn poll(&self, mut claim: Claim, patience: Duration, every: Duration) -> Result<TryLock, Error> {
        let started = claim.sent;
        loop {
            let answer = self.try_claim(claim.clone()).await?;
            let left = started.remaining_of(patience);
            match answer {
                TryLock::Busy { retry_after } if !left.is_zero() => {
                    let wait = every.mul_f64(fastrand::f64()).min(retry_after + Duration::from_millis(1));
                    tokio::time::sleep(wait.min(left)).await;
                }
                answer => return Ok(answer),
            }
            claim.sent = BootInstant::now();
        }
    }

    /// The guard of a grant.
    async fn guard(&self, claim: Claim, fence: FencingToken) -> Result<TryLock, Error> {
        let Shared { options, .. } = &*self.shared;
        let hold = Hold::new(claim, fence, options.validity(), options.max_hold());
        // From here on a drop frees the lock.
        let guard = LockGuard::new(self.shared.clone(), hold);
        guard.confirm().await?;
        // An answer that took longer than the lease is no lock.
        guard.fence()?;
        Ok(TryLock::Acquired(guard))
    }
}

impl Shared {
    pub(crate) fn claim(&self, keys: LockKeys, share: Share) -> Result<Claim, Error> {
        let label = self.options.label_text();
        Ok(Claim {
            share,
            keys,
            token: HolderToken::random((!label.is_empty()).then_some(label))?,
            sent: BootInstant::now(),
            lease: self.options.lease_time(),
            memory: self.options.memory_time(),
        })
    }

    pub(crate) fn pending(&self, ask: Ask, claim: &Claim) -> Pending {
        Pending::new(ask, &self.redis, claim, &self.janitor)
    }
}
