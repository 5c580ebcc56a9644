//! Permits: up to so many holders at a time.

use crate::claim::{Fences, Share};
use crate::error::Error;
use crate::keys::{Kind, LockKeys};
use crate::locks::{Locks, TryLock};
use std::num::NonZeroU32;
use std::time::Duration;

/// A semaphore: permits of one name, of which each holder takes one or more; from
/// [`Locks::semaphore`].
///
/// Each grant has a lease and a fence of its own, both as with a mutex: a holder that dies gives its
/// permits back by its lease, whoever else renews. What is taken is counted anew at each request,
/// from the holders that live: there is no counter that could drift. So a request costs the server
/// time in proportion to the holders.
///
/// # All must say the same number
///
/// The number of permits is part of each request, not stored. Handles that disagree each keep to
/// their own.
///
/// # A fence orders grants, it does not exclude
///
/// Several fences are valid at a time. One [seal](crate::FenceStore::seal) per permit, or per slot of
/// what is shared, is of use; one for all would let only the newest holder write.
///
/// ```no_run
/// # async fn example(locks: redis_lock::Locks) -> Result<(), Box<dyn std::error::Error>> {
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// let exports = locks.semaphore("exports", NonZeroU32::new(3).ok_or("zero")?);
/// let patience = Duration::from_secs(5);
/// if let Some(permit) = exports.acquire(NonZeroU32::MIN, patience).await?.acquired() {
///     permit.run(async { /* at most three at a time */ }).await?;
///     let _ = permit.release().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    locks: Locks,
    keys: LockKeys,
    permits: NonZeroU32,
}

impl Locks {
    /// The semaphore called `name` (any bytes), of this many permits. It shares nothing with the
    /// mutex or read-write lock of that name.
    #[must_use]
    pub fn semaphore(&self, name: impl AsRef<[u8]>, permits: NonZeroU32) -> Semaphore {
        Semaphore { keys: self.keys(Kind::Semaphore, name.as_ref()), locks: self.clone(), permits }
    }
}

impl Semaphore {
    /// Takes `weight` permits if so many are left for it, beside those who wait. One round trip.
    ///
    /// # Errors
    ///
    /// As [`Locks::try_lock`]; [`Error::Options`] if there are fewer permits in all.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what a dropped call has taken is given back by a background task.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::try_lock`].
    pub async fn try_acquire(&self, weight: NonZeroU32) -> Result<TryLock, Error> {
        self.ask(weight, None).await
    }

    /// Takes `weight` permits, waiting at most `patience` for its turn: first come, first served, so
    /// that many small requests do not keep out a large one. Round trips as [`Locks::lock`].
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`]; [`TryLock::Busy`] if the patience is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call leaves the queue.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::lock`].
    pub async fn acquire(&self, weight: NonZeroU32, patience: Duration) -> Result<TryLock, Error> {
        self.ask(weight, Some(patience)).await
    }

    async fn ask(&self, weight: NonZeroU32, patience: Option<Duration>) -> Result<TryLock, Error> {
        if weight > self.permits {
            return Err(Error::Options("more permits were asked for than there are"));
        }
        let share = Share::Permits { weight: weight.get(), limit: self.permits.get(), fences: Fences::Own };
        self.locks.ask(self.keys.clone(), share, patience).await
    }
}
