//! One request for a quorum lock, from its send to its guard.

use super::ballot::Ballot;
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
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long at least a server has to answer, that a moment's pause of it costs no vote.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(10);

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
        // Only where the answer is known: what else was granted may have a higher fence than this, and is
        // given back, so it counts for nothing.
        let holders: Vec<usize> = answers.granted.iter().map(|(node, _)| *node).collect();
        let settled = self
            .on_each(&holders, |node, claim| async move {
                scripts::settle(&node.shared().redis, &claim, fence).await
            })
            .decision()
            .await;
        if !settled.is_carried() {
            return match settled.error {
                Some(error) => Err(error.into()),
                None => Ok(TryLock::Busy { retry_after: Duration::ZERO }),
            };
        }
        let hold = Hold::new(self.claim.clone(), fence, options.validity(), None);
        let guard = QuorumGuard::new(self, hold, holders);
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
                patience = (started.elapsed() * 2).max(SHORTEST_PATIENCE);
            }
            if self.nodes.len() - answers.refused - answers.failed.len() < self.majority() {
                break;
            }
        }
        // The calls that are left end here, and each has told the janitor to give back what it still gets:
        // not later, or a `close` would not wait for it.
        calls.abort_all();
        while let Some(joined) = calls.join_next().await {
            joined.into_iter().for_each(|(number, answer)| answers.add(number, answer));
        }
        answers
    }

    /// Does the same on these servers at a time, by background tasks: to the end, also where nobody
    /// waits for it any more.
    pub(super) fn on_each<F, Fut>(&self, nodes: &[usize], step: F) -> Ballot
    where
        F: Fn(Locks, Claim) -> Fut,
        Fut: Future<Output = Result<bool, RedisError>> + Send + 'static,
    {
        let (answered, answers) = mpsc::unbounded_channel();
        for &node in nodes {
            let locks = self.nodes[node].clone();
            let (call, answered) = (step(locks.clone(), self.claim.clone()), answered.clone());
            // Nobody may listen any more: the others have decided.
            locks.shared().janitor.run(async move { drop(answered.send((node, call.await))) });
        }
        Ballot::new(nodes.len(), self.majority(), answers)
    }
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
