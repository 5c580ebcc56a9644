//! What becomes of a lock whose guard or request was dropped: a background task frees it.

use crate::claim::Claim;
use crate::scripts::{self, Freed};
use crate::telemetry;
use redis_patterns_core::{Backoff, BootInstant, ErrorKind, Redis};
use std::future::Future;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Waits between tries while Redis cannot be reached.
const TRIES: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// The background tasks of one handle.
#[derive(Clone, Debug)]
pub(crate) struct Janitor {
    redis: Redis,
    tasks: TaskTracker,
}

/// Whether the server is known to have granted a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Known,
    /// No reply came: the request may still be on its way.
    Unknown,
}

impl Janitor {
    pub(crate) fn new(redis: Redis) -> Self {
        Self { redis, tasks: TaskTracker::new() }
    }

    /// Runs a task to its end; works where no runtime is current.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The task ends by itself, so nothing is done with its handle.
        drop(self.redis.detach(self.tasks.track_future(task)));
    }

    /// Frees the claim in the background.
    pub(crate) fn free(&self, claim: Claim, grant: Grant) {
        let redis = self.redis.clone();
        self.run(async move { free(&redis, &claim, grant).await });
    }

    /// Waits for the tasks under way.
    pub(crate) async fn drain(&self) {
        // It stays closed, which keeps no task out: opened again, it would hold up another that waits.
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Frees the claim; gives up when the server's own expiry has done so.
async fn free(redis: &Redis, claim: &Claim, grant: Grant) {
    let started = BootInstant::now();
    let mut tries = 0;
    let mut found_nothing = 0;
    loop {
        match scripts::release(redis, claim).await {
            Ok(Freed::Yes) => return,
            Ok(Freed::FreeAlready | Freed::HeldByAnother) => found_nothing += 1,
            // Nothing is sent any more: the lease frees it.
            Err(error) if error.kind() == ErrorKind::Closed => return telemetry::leaked(),
            Err(_) => {}
        }
        // A request that was cut off may reach the server after its release: it is looked for again,
        // for as long as one may be on its way.
        let found_enough = match grant {
            Grant::Known => found_nothing >= 1,
            Grant::Unknown => found_nothing >= 3 && started.remaining_of(redis.deadline()).is_zero(),
        };
        if found_enough {
            return;
        }
        if claim.sent.remaining_of(claim.lease).is_zero() {
            if found_nothing == 0 {
                telemetry::leaked();
            }
            return;
        }
        tokio::time::sleep(TRIES.delay(tries).max(SHORTEST_WAIT)).await;
        tries += 1;
    }
}
