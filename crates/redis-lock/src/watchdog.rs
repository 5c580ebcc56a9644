//! The task that extends a guard's lease while the guard lives.

use crate::error::Lost;
use crate::hold::Hold;
use crate::scripts;
use redis_patterns_core::{Backoff, BootInstant, ErrorKind, Redis};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Waits between tries while Redis does not answer; what is left of the lease bounds them.
const TRIES: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

/// Renews one lock until it is dropped. Renewals of different locks go out side by side on one
/// connection; their names have different slots, so no script could take several.
#[derive(Debug)]
pub(crate) struct Watchdog(AbortHandle);

impl Watchdog {
    pub(crate) fn start(redis: Redis, hold: Arc<Hold>) -> Self {
        Self(tokio::spawn(async move { watch(&redis, &hold).await }).abort_handle())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Extends at a third of the lease, and again and again if that fails, until the lock is lost.
async fn watch(redis: &Redis, hold: &Hold) {
    let third = hold.claim.lease / 3;
    let mut failures = 0;
    loop {
        let wait = if failures == 0 {
            // Up to a tenth earlier, so that locks taken together are not renewed together.
            hold.since().remaining_of(third).mul_f64(0.9 + fastrand::f64() / 10.0)
        } else {
            TRIES.delay(failures)
        };
        tokio::time::sleep(wait).await;
        match extend(redis, hold).await {
            Ok(()) => failures = 0,
            Err(End::Lost) => return,
            Err(End::NoAnswer) => failures += 1,
        }
    }
}

enum End {
    Lost,
    NoAnswer,
}

async fn extend(redis: &Redis, hold: &Hold) -> Result<(), End> {
    let (_, left) = hold.held().map_err(|_| End::Lost)?;
    let sent = BootInstant::now();
    let hurried = redis.with_deadline(redis.deadline().min(left));
    match scripts::extend(&hurried, &hold.claim).await {
        Ok(true) => hold.renew(sent).map_err(|_| End::Lost),
        Ok(false) => {
            hold.lose(Lost::Gone);
            Err(End::Lost)
        }
        // Nothing is sent any more; the guard ends with its lease.
        Err(error) if error.kind() == ErrorKind::Closed => Err(End::Lost),
        Err(_) => Err(End::NoAnswer),
    }
}
