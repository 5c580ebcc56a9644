//! What came of a job, for whoever asked to be told.

use crate::error::Error;
use crate::job::{Job, JobId};
use crate::queue::Queue;
use crate::scripts::{self, State};
use bytes::Bytes;
use redis_patterns_core::until_answered;
use std::fmt;
use std::time::Duration;

/// The wait after a failure that passes.
const AGAIN: Duration = Duration::from_millis(100);

/// How far a job is that was pushed with [`NewJob::keep_result`](crate::NewJob::keep_result).
///
/// Its `Debug` does not show what the handler said.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// A handler runs, or has run and failed, and said this of how far it was.
    Running {
        /// What the handler gave to [`Queue::report_progress`].
        progress: Bytes,
    },
    /// It is done. Its acknowledgement may still be under way, and if that is lost it runs again.
    Done {
        /// What the handler gave with [`Outcome::DoneWith`](crate::Outcome::DoneWith), or nothing.
        result: Bytes,
    },
    /// It was given up, and is a dead letter.
    Dead {
        /// Why.
        reason: String,
    },
}

impl Report {
    /// Whether nothing more is to come, unless the dead letter is replayed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Running { .. })
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { progress } => write!(f, "Running({} bytes)", progress.len()),
            Self::Done { result } => write!(f, "Done({} bytes)", result.len()),
            Self::Dead { reason } => write!(f, "Dead({} bytes)", reason.len()),
        }
    }
}

impl Queue {
    /// What is known of a job that was pushed with [`NewJob::keep_result`](crate::NewJob::keep_result);
    /// `None` if nothing is: no handler has said anything yet, nobody asked, or its time is over. One
    /// round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn result(&self, id: JobId) -> Result<Option<Report>, Error> {
        Ok(scripts::result(&self.redis, &self.keys.result(id)).await?)
    }

    /// Waits until the job is done or given up, for up to `patience`; `None` after that. It
    /// subscribes, reads, and reads again only when it is told of a change: no polling.
    ///
    /// A job that its workers did not survive ([`max_losses`](crate::QueueOptions::max_losses)) tells
    /// nobody: no handler was left to do it.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] for what does not pass by itself; outages are waited out.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait(&self, id: JobId, patience: Duration) -> Result<Option<Report>, Error> {
        let told = async {
            loop {
                match self.next_final(id).await {
                    Err(error) if error.is_outage() => tokio::time::sleep(AGAIN).await,
                    answer => return answer,
                }
            }
        };
        tokio::time::timeout(patience, told).await.map_or(Ok(None), |report| report.map(Some))
    }

    async fn next_final(&self, id: JobId) -> Result<Report, Error> {
        let mut news = self.redis.subscribe(&self.keys.result(id)).await?;
        loop {
            match self.result(id).await? {
                Some(report) if report.is_final() => return Ok(report),
                _ => news.next().await?,
            };
        }
    }

    /// Says how far the job is, from its handler; false if nobody asked, and nothing is sent then, or
    /// if the job is done or another worker's by now. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may still be said.
    ///
    /// # If the reply is lost
    ///
    /// It may have been said; saying it again changes nothing.
    pub async fn report_progress(&self, job: &Job, progress: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.report(job, State::Running, progress.as_ref()).await
    }

    pub(crate) async fn report(&self, job: &Job, state: State, value: &[u8]) -> Result<bool, Error> {
        let Some(keep) = job.header().keep_result() else { return Ok(false) };
        let key = self.keys.result(job.id());
        let say = || scripts::report(&self.redis, &key, job.delivery(), state, value, keep);
        Ok(until_answered(say).await?)
    }
}
