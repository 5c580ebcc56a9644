//! A worker's end of the queue: jobs come in under a lease, and each is settled once.
//!
//! Five tasks share it. One fetches and owns the connection that blocks: it is never cancelled, so
//! no answer of the server falls on the floor. One settles, and tries again until the server has
//! answered. One renews the lease. One sweeps for the jobs of workers that are gone.
//! One sleeps until the next delayed job is due.

mod beat;
mod close;
mod fetch;
mod held;
mod session;
mod settle;
mod shared;
mod timer;

pub use held::HeldJob;
pub(crate) use session::Session;
pub use shared::ReaderStats;

use crate::error::Error;
use crate::options::WorkerOptions;
use crate::queue::Queue;
use close::Tasks;
use shared::Shared;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes jobs from a queue under a lease that is renewed in the background.
///
/// Dropping it does what [`Reader::close`] does, without waiting.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    tasks: Mutex<Option<Tasks>>,
}

impl Reader {
    pub(crate) async fn start(queue: Queue, options: WorkerOptions) -> Result<Self, Error> {
        options.check()?;
        let (shared, settle) = Shared::register(queue, options).await?;
        let tasks = Tasks::spawn(&shared, settle);
        Ok(Self { shared, tasks: Mutex::new(Some(tasks)) })
    }

    /// The next job, waited for; `None` once the reader is closed.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] for what does not pass by itself, such as a missing permission; outages
    /// are waited out.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a job that arrives meanwhile is kept for the next call.
    pub async fn next(&self) -> Result<Option<HeldJob>, Error> {
        Ok(self.next_many(NonZeroUsize::MIN).await?.pop())
    }

    /// At least one and up to `most` jobs, in order; none once the reader is closed.
    ///
    /// # Errors
    ///
    /// As [`Reader::next`].
    ///
    /// # Cancel safety
    ///
    /// As [`Reader::next`].
    pub async fn next_many(&self, most: NonZeroUsize) -> Result<Vec<HeldJob>, Error> {
        self.shared.next_many(most.get()).await
    }

    /// What this reader has done so far.
    #[must_use]
    pub fn stats(&self) -> ReaderStats {
        self.shared.stats()
    }

    /// Stops fetching at once; what was fetched and not handed out goes back to the front,
    /// unchanged and in order. Jobs that were handed out stay under the lease.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it goes on without being awaited.
    pub async fn stop_fetching(&self) {
        self.shared.stop_fetching().await;
    }

    /// Stops fetching, returns every job it still holds to the front, in order, and ends the lease.
    ///
    /// Jobs that were handed out and not settled go back too: acknowledging one of them later
    /// answers [`Settled::Lost`](crate::Settled::Lost).
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis cannot be told: the jobs then go back when the lease is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it goes on without being awaited.
    pub async fn close(self) -> Result<(), Error> {
        let Some(tasks) = self.take_tasks() else { return Ok(()) };
        let closing = self.shared.queue.redis.detach(tasks.close(self.shared.clone()));
        closing.await.unwrap_or(Err(Error::Ended))
    }

    fn take_tasks(&self) -> Option<Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(tasks) = self.take_tasks() {
            self.shared.queue.redis.detach(tasks.close(self.shared.clone()));
        }
    }
}
