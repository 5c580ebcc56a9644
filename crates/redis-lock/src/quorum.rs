//! One lock on several independent servers.

mod attempt;
mod ballot;
mod guard;

pub use guard::QuorumGuard;

use crate::claim::Share;
use crate::error::Error;
use crate::keys::{Kind, LockKeys};
use crate::locks::{Locks, TryLock};
use crate::options::LockOptions;
use crate::telemetry;
use attempt::Attempt;
use redis_patterns_core::{BootInstant, Redis};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// The longest wait between two tries; random, so that contenders do not split the servers again.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Locks that are held if a majority of independent servers says so; cheap to clone.
///
/// Each server is a single primary of its own: no replica of another, no node of a cluster. A lock
/// outlives the loss of any minority of them.
///
/// # The fence
///
/// Each server issues one as it grants; the highest of the majority is written back to those servers
/// where the grant still stands, and counts only if a majority took it. Two grants so share a server
/// that saw both, one after the other, and issued the later one a higher fence. That rests on no
/// clock; it does on servers that do not forget: one that comes back empty needs a clock not behind
/// its last fence, as with a [mutex](Locks).
///
/// # It is a hint all the same
///
/// A holder can stand still past its lease here too. Two round trips for each grant, to all servers at
/// a time; waiting is by polling, without order; nothing is renewed by itself.
#[derive(Clone, Debug)]
pub struct Quorum {
    nodes: Arc<[Locks]>,
    options: LockOptions,
}

impl Quorum {
    /// Locks on these servers: at least three, each connected by itself, all with one namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if there are fewer, if their namespaces differ, or if the options ask for
    /// renewal or replicas.
    pub fn new(servers: Vec<Redis>, options: LockOptions) -> Result<Self, Error> {
        if servers.len() < 3 {
            return Err(Error::Options("a quorum has at least three servers"));
        }
        if servers.iter().any(|server| server.namespace() != servers[0].namespace()) {
            return Err(Error::Options("all servers of a quorum have one namespace"));
        }
        if options.max_hold().is_some() || options.copies() != crate::Durability::Local {
            return Err(Error::Options("a quorum lock is neither renewed by itself nor waits for replicas"));
        }
        let nodes = servers.into_iter().map(|server| Locks::new(server, options.clone())).collect();
        Ok(Self { nodes, options })
    }

    /// Takes the lock called `name` if a majority grants it. Two round trips to all servers.
    ///
    /// A server that takes more than twice as long as the majority, and more than 10 ms, is not waited
    /// for. What it grants yet is given back: this lock then rests on the others alone, and is lost with
    /// as many of them as leave no majority.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if so many servers did not answer that there can be no majority;
    /// [`Error::Lost`] if it took longer than the lease; [`Error::FenceExhausted`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was granted is given back by background tasks.
    ///
    /// # If the reply is lost
    ///
    /// That server counts as one that did not grant, and what it may have granted is freed.
    pub async fn try_lock(&self, name: impl AsRef<[u8]>) -> Result<TryLock<QuorumGuard>, Error> {
        self.ask(name.as_ref(), Duration::ZERO).await
    }

    /// As [`Quorum::try_lock`], tried again after random times for at most `patience`.
    ///
    /// # Errors
    ///
    /// As [`Quorum::try_lock`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # If the reply is lost
    ///
    /// As [`Quorum::try_lock`].
    pub async fn lock(
        &self,
        name: impl AsRef<[u8]>,
        patience: Duration,
    ) -> Result<TryLock<QuorumGuard>, Error> {
        self.ask(name.as_ref(), patience).await
    }

    /// Waits until every dropped guard and call is cleaned up, as [`Locks::close`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub async fn close(&self) {
        for node in self.nodes.iter() {
            node.close().await;
        }
    }

    async fn ask(&self, name: &[u8], patience: Duration) -> Result<TryLock<QuorumGuard>, Error> {
        let span =
            tracing::debug_span!(target: telemetry::TARGET, "lock.quorum", outcome = tracing::field::Empty);
        let started = BootInstant::now();
        let keys = self.nodes[0].keys(Kind::Mutex, name);
        let answer = self.until(started, patience, &keys).instrument(span.clone()).await;
        let outcome = telemetry::outcome(&answer);
        span.record("outcome", outcome);
        telemetry::asked(outcome, started.elapsed());
        answer
    }

    async fn until(
        &self,
        started: BootInstant,
        patience: Duration,
        keys: &LockKeys,
    ) -> Result<TryLock<QuorumGuard>, Error> {
        loop {
            let claim = self.nodes[0].shared().claim(keys.clone(), Share::Whole)?;
            let answer = Attempt::new(self.nodes.clone(), claim).run(&self.options).await?;
            let left = started.remaining_of(patience);
            let TryLock::Busy { retry_after } = answer else { return Ok(answer) };
            if left.is_zero() {
                return Ok(TryLock::Busy { retry_after });
            }
            tokio::time::sleep(BETWEEN_TRIES.mul_f64(fastrand::f64()).min(left)).await;
        }
    }
}
