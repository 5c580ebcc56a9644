//! Signs of life of a claim whose work takes longer than its lease.

use crate::claim::Claim;
use crate::error::Error;
use crate::{scripts, telemetry};
use redis_patterns_core::BootInstant;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A third of the lease: two signs of life may fail before it is over.
const BEATS_PER_LEASE: u32 = 3;
/// The least time a sign of life is given, also when the lease is all but over.
const SHORTEST: Duration = Duration::from_millis(10);

/// Whether a claim is still one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a claim may have been lost to another worker"]
pub enum Heartbeat {
    /// It is, and its lease starts anew.
    Renewed,
    /// It is not: another worker has it, or the record is gone.
    Lost,
}

/// News for work under way: its claim may be somebody else's by now.
///
/// What was done stays done; what is still to do is better left undone, since its completion will
/// not count.
#[derive(Clone)]
pub struct Loss(watch::Receiver<bool>);

impl Loss {
    /// Whether the claim was lost, or its lease went by without an answer from Redis.
    #[must_use]
    pub fn happened(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the loss; for ever, if none comes.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # If the reply is lost
    ///
    /// It asks nobody.
    pub async fn wait(&mut self) {
        if self.0.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loss").field(&self.happened()).finish()
    }
}

impl Claim {
    /// Gives a sign of life: the lease starts anew. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer; the lease may or may not have started anew.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: at most the lease starts anew.
    ///
    /// # If the reply is lost
    ///
    /// The lease may have started anew. It is not sent again; the next one does as well.
    pub async fn heartbeat(&self) -> Result<Heartbeat, Error> {
        let renewed = scripts::heartbeat(&self.redis, &self.key, &self.record).await?;
        Ok(if renewed { Heartbeat::Renewed } else { Heartbeat::Lost })
    }

    /// Does the work and gives signs of life three times per lease meanwhile.
    ///
    /// The work hears of it through the [`Loss`] if the claim is lost, or may be: when the lease
    /// has gone by, counted from the last sign that was sent and acknowledged, on a clock that runs
    /// through suspend. It is not cut short: half-done work is worse than work done twice.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work, and the signs of life end with it.
    /// [`Idempotency::run`](crate::Idempotency::run) keeps work going.
    ///
    /// # If the reply is lost
    ///
    /// A sign of life may have been heard; the next one is sent all the same, and meanwhile the lease
    /// counts as not renewed.
    pub async fn hold_while<F: Future>(&self, work: impl FnOnce(Loss) -> F) -> F::Output {
        let (lost, loss) = watch::channel(false);
        let mut work = pin!(work(Loss(loss)));
        tokio::select! {
            biased;
            output = &mut work => return output,
            () = self.renew_until_lost() => telemetry::lease_lost(),
        }
        lost.send_replace(true);
        work.await
    }

    async fn renew_until_lost(&self) {
        let lease = Duration::from_millis(self.record.lease_ms);
        let mut alive_since = self.since;
        loop {
            sleep((lease / BEATS_PER_LEASE).min(alive_since.remaining_of(lease)).max(SHORTEST)).await;
            let sent = BootInstant::now();
            let patience = alive_since.remaining_of(lease).max(SHORTEST);
            match timeout(patience, self.heartbeat()).await {
                Ok(Ok(Heartbeat::Renewed)) => alive_since = sent,
                Ok(Ok(Heartbeat::Lost)) => return,
                // Nobody knows; what is certain is how long ago the last sign was heard.
                Ok(Err(_)) | Err(_) if alive_since.remaining_of(lease).is_zero() => return,
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}
