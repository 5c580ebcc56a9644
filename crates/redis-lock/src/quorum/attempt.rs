//! One request for a quorum lock, from its send to its guard.

use super::guard::QuorumGuard;
use crate::claim::{Ask, Claim};
use crate::error::Error;
use crate::fence::FencingToken;
use crate::hold::Hold;
use crate::janitor::Grant;
use crate::locks::{Locks, TryLock};
use crate::options::LockOptions;
use crate::scripts::{self, Acquired};
use redis_patterns_core::{BootInstant, Error as RedisError};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What may be held on each server. Dropped, it is given back everywhere.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) nodes: Arc<[Locks]>,
    pub(super) claim: Claim,
    pub(super) armed: bool,
}

/// What the servers have said so far.
#[derive(Default)]
struct Answers {
    granted: Vec<(usize, FencingToken)>,
    refused: usize,
    retry_after: Option<Duration>,
    failed: Vec<Error>,
}

impl Answers {
    fn add(&mut self, node: usize, answer: Result<Acquired, Error>) {
        match answer {
            Ok(Acquired::Yes(fence)) => self.granted.push((node, fence)),
            Ok(Acquired::Busy { lease_left }) => {
                self.refused += 1;
                // The first that is free again may be the one that was missing.
                self.retry_after = Some(self.retry_after.map_or(lease_left, |other| other.min(lease_left)));
            }
            Err(error) => self.failed.push(error),
        }
    }
}

impl Attempt {
    pub(super) fn new(nodes: Arc<[Locks]>, claim: Claim) -> Self {
        Self { nodes, claim, armed: true }
    }

    pub(super) fn majority(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    /// Asks all, chooses the fence, writes it back.
    pub(super) async fn run(self, options: &LockOptions) -> Result<TryLock<QuorumGuard>, Error> {
        let mut answers = self.ask_all().await;
        if answers.granted.len() < self.majority() {
            // Busy if those who answered are enough to say so.
            let undecided = answers.failed.len() >= self.majority();
            return match answers.failed.pop() {
                Some(error) if undecided || answers.refused == 0 => Err(error),
                _ => Ok(TryLock::Busy { retry_after: answers.retry_after.unwrap_or_default() }),
            };
        }
        let Some(fence) = answers.granted.iter().map(|(_, fence)| *fence).max() else {
            return Ok(TryLock::Busy { retry_after: Duration::ZERO });
        };
        // Only where the answer is known: what else was granted may have a higher fence than this.
        let granted: Vec<usize> = answers.granted.iter().map(|(node, _)| *node).collect();
        let settled = self
            .on_all(granted, move |redis, claim| async move { scripts::settle(&redis, &claim, fence).await });
        let settled = settled.await;
        if settled.yes < self.majority() {
            return match settled.error {
                Some(error) => Err(error.into()),
                None => Ok(TryLock::Busy { retry_after: Duration::ZERO }),
            };
        }
        let hold = Hold::new(self.claim.clone(), fence, options.validity(), None);
        let guard = QuorumGuard::new(self, hold);
        guard.fence()?;
        Ok(TryLock::Acquired(guard))
    }

    /// Asks until all have answered, no majority is possible, or the rest is too slow.
    async fn ask_all(&self) -> Answers {
        let mut calls = JoinSet::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let pending = node.shared().pending(Ask::Try, &self.claim);
            calls.spawn(async move { (number, pending.await) });
        }
        let mut answers = Answers::default();
        let mut patience = self.claim.lease;
        let started = BootInstant::now();
        while let Ok(Some(joined)) =
            tokio::time::timeout(started.remaining_of(patience), calls.join_next()).await
        {
            let Ok((number, answer)) = joined else { continue };
            answers.add(number, answer);
            if answers.granted.len() == self.majority() {
                patience = (started.elapsed() * 2).max(Duration::from_millis(2));
            }
            if self.nodes.len() - answers.refused - answers.failed.len() < self.majority() {
                break;
            }
        }
        // The calls that are left end here; each gives back what it still gets.
        answers
    }

    /// Does the same on these servers at a time.
    pub(super) async fn on_all<F, Fut>(&self, nodes: Vec<usize>, step: F) -> Votes
    where
        F: Fn(redis_patterns_core::Redis, Claim) -> Fut,
        Fut: Future<Output = Result<bool, RedisError>> + Send + 'static,
    {
        let mut calls = JoinSet::new();
        for node in nodes {
            calls.spawn(step(self.nodes[node].shared().redis.clone(), self.claim.clone()));
        }
        let mut votes = Votes::default();
        while let Some(joined) = calls.join_next().await {
            match joined {
                Ok(Ok(true)) => votes.yes += 1,
                Ok(Ok(false)) => votes.no += 1,
                Ok(Err(error)) => votes.error = Some(error),
                Err(_) => {}
            }
        }
        votes
    }
}

/// How many servers did what was asked, and why one did not answer.
#[derive(Debug, Default)]
pub(super) struct Votes {
    pub(super) yes: usize,
    pub(super) no: usize,
    pub(super) error: Option<RedisError>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.armed {
            for node in self.nodes.iter() {
                node.shared().janitor.free(self.claim.clone(), Grant::Known);
            }
        }
    }
}
