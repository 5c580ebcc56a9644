//! Many checks at once as few script calls.
//!
//! A check that comes while others are under way waits for one of them to end and goes with all that
//! came meanwhile. So a single check waits for nobody, and the more there are the fewer calls each
//! takes.

use crate::decision::Decision;
use crate::error::Error;
use crate::limiter::RateLimiter;
use crate::scripts::Ask;
use crate::telemetry;
use redis_patterns_core::{BootInstant, Error as RedisError, ErrorKind, Executed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

const OPERATION: &str = "ratelimit/check";
/// One script of this many takes about as long as a slow command may.
const MOST_IN_A_CALL: usize = 64;
/// The server works on one while the others are on their way.
const MOST_CALLS: usize = 4;

/// The checks of one gate and its clones.
#[derive(Debug, Default)]
pub(super) struct Batches(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Question>,
    calls: usize,
}

#[derive(Debug)]
struct Question {
    subject: Box<[u8]>,
    ask: Ask,
    /// Nothing for one that has to be asked alone.
    answer: oneshot::Sender<Option<Result<Decision, Error>>>,
}

impl Batches {
    /// What [`RateLimiter::ask`] would answer, within the deadline of `limiter`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        limiter: &RateLimiter,
        subject: &[u8],
        ask: Ask,
    ) -> Result<Decision, Error> {
        let (started, deadline) = (BootInstant::now(), limiter.redis().deadline());
        let (answer, answered) = oneshot::channel();
        let another = {
            let mut queue = self.queue();
            queue.waiting.push(Question { subject: subject.into(), ask, answer });
            let another = queue.calls < MOST_CALLS;
            queue.calls += usize::from(another);
            another
        };
        if another {
            // A task of its own: the one that asks may be dropped, and others wait for the call.
            drop(limiter.redis().detach(call_until_none_waits(self.clone(), limiter.clone())));
        }
        let answer = async {
            match tokio::time::timeout(deadline, answered).await {
                Ok(Ok(Some(answer))) => answer,
                // It failed alone, and nothing was written: so it learns why.
                Ok(Ok(None)) => {
                    let rest = started.remaining_of(deadline).max(Duration::from_millis(1));
                    limiter.with_deadline(rest).ask_unwatched(subject, ask).await
                }
                Ok(Err(_)) => Err(no_answer("the call ended without an answer")),
                Err(_) => Err(no_answer("no answer within the deadline")),
            }
        };
        telemetry::asked(answer).await
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next to be asked for; none ends the caller's turn.
    fn next(&self) -> Vec<Question> {
        let mut queue = self.queue();
        // Whoever is no longer there is not charged.
        queue.waiting.retain(|question| !question.answer.is_closed());
        let count = queue.waiting.len().min(MOST_IN_A_CALL);
        let next: Vec<Question> = queue.waiting.drain(..count).collect();
        queue.calls -= usize::from(next.is_empty());
        next
    }
}

/// One after the other, until nobody waits.
async fn call_until_none_waits(batches: Arc<Batches>, limiter: RateLimiter) {
    loop {
        let questions = batches.next();
        if questions.is_empty() {
            return;
        }
        let asked: Vec<_> = questions.iter().map(|question| (&*question.subject, question.ask)).collect();
        let answers = limiter.ask_each(&asked).await;
        tell(questions, answers);
    }
}

/// Whoever has gone is not told.
fn tell(questions: Vec<Question>, answers: Result<Vec<Option<Decision>>, Error>) {
    match answers {
        Ok(decisions) => {
            for (question, decision) in questions.into_iter().zip(decisions) {
                let _ = question.answer.send(decision.map(Ok));
            }
        }
        Err(error) => {
            for question in questions {
                let _ = question.answer.send(Some(Err(same(&error))));
            }
        }
    }
}

/// What failed for one failed for all of the call.
fn same(error: &Error) -> Error {
    let Error::Redis(error) = error else { return no_answer("the call failed") };
    let kind = match error.kind() {
        // The word by which a server's error is told to be an outage is not passed on.
        ErrorKind::Server if error.is_outage() => ErrorKind::NotSent,
        kind => kind,
    };
    let text = error.to_string();
    let what = text.strip_prefix("ratelimit/check: ").unwrap_or(&text).to_owned();
    RedisError::new(kind, error.executed(), OPERATION, what).into()
}

pub(super) fn no_answer(what: &'static str) -> Error {
    RedisError::new(ErrorKind::Timeout, Executed::Maybe, OPERATION, what).into()
}
