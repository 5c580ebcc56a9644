//! A job in hand, to be settled once.

use super::session::Session;
use super::settle::{Settle, Verb};
use super::shared::Shared;
use crate::error::Error;
use crate::job::Job;
use crate::outcome::Settled;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A job that this reader holds under its lease.
///
/// Dropping it unsettled gives it back to the front of the queue.
#[must_use = "a dropped job goes back to the queue"]
pub struct HeldJob {
    shared: Arc<Shared>,
    session: Arc<Session>,
    job: Job,
    settled: bool,
}

impl HeldJob {
    pub(super) fn new(shared: &Arc<Shared>, session: Arc<Session>, job: Job) -> Self {
        Self { shared: shared.clone(), session, job, settled: false }
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Ends when the lease is over and the job therefore belongs to others: what is done for it
    /// from then on is done twice.
    pub async fn lost(&self) {
        self.session.ended().await;
    }

    /// Whether the lease is over.
    pub(crate) fn is_lost(&self) -> bool {
        self.session.is_over()
    }

    /// Removes the job: it is done. Acknowledgements that wait go out together, in one round trip.
    ///
    /// It is tried again through outages as long as the lease lasts.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] if the lease was over before the server's answer came; [`Error::Redis`] for
    /// what does not pass by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the acknowledgement goes out even if the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is asked again: a job that is gone while its reader is still registered was removed by the
    /// first request, since nothing else removes one.
    pub async fn ack(self) -> Result<Settled, Error> {
        let aside = self.job.is_aside().then(|| (self.shared.queue.clone(), self.job.id()));
        let settled = self.settle(Verb::Ack).await;
        if let (Ok(Settled::Done), Some((queue, id))) = (&settled, aside) {
            queue.forget_payloads(vec![id]);
        }
        settled
    }

    /// Gives the job back to the front of the queue, its delivery counted.
    ///
    /// # Errors
    ///
    /// As [`HeldJob::ack`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the job goes back even if the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// As [`HeldJob::ack`].
    pub async fn release(self) -> Result<Settled, Error> {
        let back = Verb::Release { back: self.moved_on() };
        self.settle(back).await
    }

    /// Puts the job among the delayed ones, to run again after `delay`; counts as a failure.
    ///
    /// # Errors
    ///
    /// As [`HeldJob::ack`].
    ///
    /// # Cancel safety
    ///
    /// As [`HeldJob::ack`].
    ///
    /// # If the reply is lost
    ///
    /// As [`HeldJob::ack`].
    pub async fn retry_in(self, delay: Duration) -> Result<Settled, Error> {
        let job = self.failed();
        self.settle(Verb::Retry { job, delay }).await
    }

    /// Moves the job to the dead letters with the reason `why`, of which 1,024 bytes are kept.
    ///
    /// # Errors
    ///
    /// As [`HeldJob::ack`].
    ///
    /// # Cancel safety
    ///
    /// As [`HeldJob::ack`].
    ///
    /// # If the reply is lost
    ///
    /// As [`HeldJob::ack`].
    pub async fn bury(self, why: impl Into<String>) -> Result<Settled, Error> {
        let job = self.failed();
        self.settle(Verb::Bury { job, why: why.into() }).await
    }

    async fn settle(mut self, verb: Verb) -> Result<Settled, Error> {
        let (answer, asked) = oneshot::channel();
        self.send(verb, Some(answer));
        asked.await.unwrap_or(Err(Error::Ended))
    }

    fn send(&mut self, verb: Verb, answer: Option<oneshot::Sender<Result<Settled, Error>>>) {
        self.settled = true;
        let held = self.job.element().clone();
        let (session, id) = (self.session.clone(), self.job.id());
        // The settling task is gone only after the reader was closed, which gave the job back.
        let _ = self.shared.outbox.send(Settle::Job { session, id, held, verb, answer });
    }

    fn failed(&self) -> bytes::Bytes {
        self.job.restamped(|header| {
            header.deliveries = header.deliveries.saturating_add(1);
            header.failures = header.failures.saturating_add(1);
        })
    }

    fn moved_on(&self) -> bytes::Bytes {
        self.job.restamped(|header| header.deliveries = header.deliveries.saturating_add(1))
    }
}

impl Deref for HeldJob {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

impl Drop for HeldJob {
    fn drop(&mut self) {
        if !self.settled {
            self.send(Verb::Release { back: self.moved_on() }, None);
        }
    }
}

impl fmt::Debug for HeldJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldJob").field(&self.job).finish()
    }
}
