//! Waiting until replicas have a grant.

use crate::claim::Claim;
use crate::error::{Error, Lost};
use crate::scripts;
use redis_patterns_core::{BootInstant, Dedicated, Redis};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::sync::Mutex;

/// How many copies of a grant there must be before the caller has it.
///
/// # What replicas do not give
///
/// Mutual exclusion through a failover: a replica that was not among those that answered may be
/// promoted, and it does not know the lock. Asking for all replicas makes that rarer (one that was
/// cut off can be promoted all the same), and makes a lock impossible while one of them is down.
/// Renewals and releases are not waited for. What keeps the data right is the fence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The primary's.
    #[default]
    Local,
    /// The primary's and this many replicas', in memory: `WAIT`, on a connection of its own. Two more
    /// round trips for each grant, one grant of a handle after another.
    Replicas(NonZeroU32),
}

/// The connection on which a handle waits for replicas.
#[derive(Debug)]
pub(crate) struct Replicas {
    count: NonZeroU32,
    line: Mutex<Dedicated>,
}

impl Replicas {
    pub(crate) fn of(durability: Durability, redis: &Redis) -> Option<Self> {
        match durability {
            Durability::Local => None,
            Durability::Replicas(count) => Some(Self { count, line: Mutex::new(redis.dedicated()) }),
        }
    }

    /// Extends the lease and waits until the replicas have that, and so the grant before it; answers
    /// when it was sent.
    pub(crate) async fn confirm(
        &self,
        redis: &Redis,
        claim: &Claim,
        within: Duration,
    ) -> Result<BootInstant, Error> {
        let line = self.line.lock().await;
        let sent = BootInstant::now();
        // WAIT counts what its own connection wrote, so something is written on it.
        if !scripts::confirm(&line, redis, claim).await? {
            return Err(Lost::Gone.into());
        }
        let acknowledged =
            line.wait_for_replicas(&claim.keys.lock, self.count.get(), within.min(redis.deadline())).await?;
        if acknowledged < self.count.get() {
            return Err(Error::TooFewReplicas { acknowledged });
        }
        Ok(sent)
    }
}
