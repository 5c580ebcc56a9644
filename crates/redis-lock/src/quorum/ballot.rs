//! The counting of what servers answer.

use redis_patterns_core::Error as RedisError;
use tokio::sync::mpsc::UnboundedReceiver;

/// What some servers were asked to do, and which of them did it.
pub(super) struct Ballot {
    asked: usize,
    majority: usize,
    answers: UnboundedReceiver<(usize, Result<bool, RedisError>)>,
    yes: usize,
    pub(super) no: Vec<usize>,
    failed: usize,
    pub(super) error: Option<RedisError>,
}

impl Ballot {
    pub(super) fn new(
        asked: usize,
        majority: usize,
        answers: UnboundedReceiver<(usize, Result<bool, RedisError>)>,
    ) -> Self {
        Self { asked, majority, answers, yes: 0, no: Vec::new(), failed: 0, error: None }
    }

    /// Counts until there is a majority or can be none: a server that hangs is not waited for.
    pub(super) async fn decision(mut self) -> Self {
        while !self.is_carried() && self.asked - self.no.len() - self.failed >= self.majority {
            match self.answers.recv().await {
                Some((_, Ok(true))) => self.yes += 1,
                Some((node, Ok(false))) => self.no.push(node),
                Some((_, Err(error))) => {
                    self.failed += 1;
                    self.error = Some(error);
                }
                None => break,
            }
        }
        self
    }

    /// Whether a majority of all servers did it.
    pub(super) fn is_carried(&self) -> bool {
        self.yes >= self.majority
    }

    /// Whether so many have the lock no longer that the others are no majority, answered or not.
    pub(super) fn is_lost(&self) -> bool {
        self.asked - self.no.len() < self.majority
    }
}
