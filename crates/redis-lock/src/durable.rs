//! Waiting until replicas have a grant.

use crate::claim::Claim;
use crate::error::{Error, Lost};
use crate::hold::Hold;
use crate::scripts;
use redis_patterns_core::{BootInstant, Dedicated, Error as RedisError, ErrorKind, Executed, Redis};
use std::num::NonZeroU32;
use std::sync::Arc;
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
///
/// # A connection that is cut at the wrong moment
///
/// The grant is written and waited for by two sends. If the connection is replaced between them, the
/// server has nothing to wait for on the new one and may count replicas that lack the grant.
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
    line: Arc<Mutex<Dedicated>>,
}

impl Replicas {
    pub(crate) fn of(durability: Durability, redis: &Redis) -> Option<Self> {
        match durability {
            Durability::Local => None,
            Durability::Replicas(count) => {
                Some(Self { count, line: Arc::new(Mutex::new(redis.dedicated())) })
            }
        }
    }

    /// Extends the lease and waits until the replicas have that, and so the grant before it; answers
    /// when it was sent.
    ///
    /// The connection is waited for while the lock is held. Cancel safe: a WAIT that nobody waits for
    /// keeps the connection to its end, so that it holds up no later request on it.
    pub(crate) async fn confirm(&self, redis: &Redis, hold: &Hold) -> Result<BootInstant, Error> {
        let line = tokio::time::timeout(hold.time_left(), self.line.clone().lock_owned());
        let line = line.await.map_err(|_| Lost::Expired)?;
        let sent = hold.sending();
        let within = hold.time_left().min(redis.deadline());
        let (owner, claim, count) = (redis.clone(), hold.claim.clone(), self.count);
        let call = async move { confirm(&line, &owner, &claim, count, within).await };
        let ended = |_| RedisError::new(ErrorKind::Closed, Executed::Maybe, "WAIT", "the runtime has ended");
        redis.detach(call).await.map_err(ended)??;
        Ok(sent)
    }
}

async fn confirm(
    line: &Dedicated,
    redis: &Redis,
    claim: &Claim,
    count: NonZeroU32,
    within: Duration,
) -> Result<(), Error> {
    // WAIT counts what its own connection wrote, so something is written on it.
    if !scripts::confirm(line, redis, claim).await? {
        return Err(Lost::Gone.into());
    }
    let acknowledged = line.wait_for_replicas(&claim.keys.lock, count.get(), within).await?;
    if acknowledged < count.get() {
        return Err(Error::TooFewReplicas { acknowledged });
    }
    Ok(())
}
