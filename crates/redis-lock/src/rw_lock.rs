//! Many readers or one writer.

use crate::claim::{Fences, Share};
use crate::error::Error;
use crate::keys::{Kind, LockKeys};
use crate::locks::{Locks, TryLock};
use std::time::Duration;

/// The most readers at a time; a writer takes all of these permits.
const READERS: u32 = 1_000_000;

/// A read-write lock, from [`Locks::rw_lock`].
///
/// Each reader has a lease of its own: one that died is missed after its own, whoever else renews.
/// Who comes first is served first, so a waiting writer keeps later readers out, and readers that
/// wait one behind the other are let in together.
///
/// # Fences
///
/// A writer's is above every earlier one. Readers have that of the last writer, which tells them
/// apart from a later writer's time and from nothing else; it is not for writes.
///
/// # Cost
///
/// A request costs the server time in proportion to the readers that hold it.
///
/// ```no_run
/// # async fn example(locks: redis_lock::Locks) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let prices = locks.rw_lock("prices");
/// let patience = Duration::from_secs(2);
/// if let Some(reader) = prices.read(patience).await?.acquired() {
///     println!("as of writer {}", reader.fence()?);
///     let _ = reader.release().await?;
/// }
/// if let Some(writer) = prices.write(patience).await?.acquired() {
///     println!("alone, under fence {}", writer.fence()?);
///     let _ = writer.release().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RwLock {
    locks: Locks,
    keys: LockKeys,
}

impl Locks {
    /// The read-write lock called `name` (any bytes). It shares nothing with the mutex or semaphore
    /// of that name.
    #[must_use]
    pub fn rw_lock(&self, name: impl AsRef<[u8]>) -> RwLock {
        RwLock { keys: self.keys(Kind::ReadWrite, name.as_ref()), locks: self.clone() }
    }
}

impl RwLock {
    /// Becomes a reader if nobody writes or waits before it. One round trip.
    ///
    /// # Errors
    ///
    /// As [`Locks::try_lock`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what a dropped call has taken is given back by a background task.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::try_lock`].
    pub async fn try_read(&self) -> Result<TryLock, Error> {
        self.ask(1, Fences::Last, None).await
    }

    /// Becomes a reader, waiting at most `patience` behind writers that came before. Round trips as
    /// [`Locks::lock`].
    ///
    /// # Errors
    ///
    /// As [`Locks::try_lock`]; [`TryLock::Busy`] if the patience is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call leaves the queue.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::lock`].
    pub async fn read(&self, patience: Duration) -> Result<TryLock, Error> {
        self.ask(1, Fences::Last, Some(patience)).await
    }

    /// Becomes the writer if nobody reads, writes or waits. One round trip.
    ///
    /// # Errors
    ///
    /// As [`Locks::try_lock`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what a dropped call has taken is given back by a background task.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::try_lock`].
    pub async fn try_write(&self) -> Result<TryLock, Error> {
        self.ask(READERS, Fences::Own, None).await
    }

    /// Becomes the writer, waiting at most `patience` until those that came before are done. Round
    /// trips as [`Locks::lock`].
    ///
    /// # Errors
    ///
    /// As [`Locks::try_lock`]; [`TryLock::Busy`] if the patience is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call leaves the queue.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::lock`].
    pub async fn write(&self, patience: Duration) -> Result<TryLock, Error> {
        self.ask(READERS, Fences::Own, Some(patience)).await
    }

    async fn ask(&self, weight: u32, fences: Fences, patience: Option<Duration>) -> Result<TryLock, Error> {
        let share = Share::Permits { weight, limit: READERS, fences };
        self.locks.ask(self.keys.clone(), share, patience).await
    }
}
