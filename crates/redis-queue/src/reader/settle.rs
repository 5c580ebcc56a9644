//! The task that tells the server what became of jobs, and goes on until it has heard.

use super::session::Session;
use super::shared::{Shared, count};
use super::timer::sooner;
use crate::error::Error;
use crate::job::JobId;
use crate::outcome::Settled;
use crate::scripts::{self, Removal};
use bytes::Bytes;
use redis_patterns_core::{Backoff, Error as RedisError, Executed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The most settlements that go out together.
const TOGETHER: usize = 256;
/// Waits between tries, well below a lease.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));

/// One thing to tell the server.
pub(super) enum Settle {
    /// What became of one job.
    Job {
        session: Arc<Session>,
        id: JobId,
        /// The element exactly as it was taken.
        held: Bytes,
        verb: Verb,
        answer: Option<oneshot::Sender<Result<Settled, Error>>>,
    },
    /// Answers once everything before it is settled.
    Flush(oneshot::Sender<()>),
}

/// What became of a job.
pub(super) enum Verb {
    Ack,
    /// Back to the front, as this element.
    Release {
        back: Bytes,
    },
    /// To the delayed jobs, as this element.
    Retry {
        job: Bytes,
        delay: Duration,
    },
    /// To the dead letters, as this element.
    Bury {
        job: Bytes,
        why: String,
    },
}

/// A request that waits for its answer.
struct Waiting {
    id: JobId,
    held: Bytes,
    answer: Option<oneshot::Sender<Result<Settled, Error>>>,
}

pub(super) async fn run(shared: Arc<Shared>, mut outbox: mpsc::UnboundedReceiver<Settle>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    loop {
        tokio::select! {
            count = outbox.recv_many(&mut batch, TOGETHER) => if count == 0 { return },
            () = shared.ended.cancelled() => return,
        }
        settle(&shared, batch.drain(..)).await;
    }
}

/// Settles a batch: acknowledgements of one session together, everything else in order.
async fn settle(shared: &Shared, batch: impl Iterator<Item = Settle>) {
    let mut acks: Vec<(Arc<Session>, Vec<Waiting>)> = Vec::new();
    let mut flushes = Vec::new();
    for item in batch {
        match item {
            Settle::Flush(done) => flushes.push(done),
            Settle::Job { session, id, held, verb: Verb::Ack, answer } => {
                let waiting = Waiting { id, held, answer };
                match acks.iter_mut().find(|(of, _)| Arc::ptr_eq(of, &session)) {
                    Some((_, list)) => list.push(waiting),
                    None => acks.push((session, vec![waiting])),
                }
            }
            Settle::Job { session, id, held, verb, answer } => {
                one(shared, &session, Waiting { id, held, answer }, verb).await;
            }
        }
    }
    for (session, list) in acks {
        acknowledge(shared, &session, list).await;
    }
    for done in flushes {
        // Nobody listens any more if the reader was closed meanwhile.
        let _ = done.send(());
    }
}

async fn acknowledge(shared: &Shared, session: &Session, list: Vec<Waiting>) {
    let jobs: Vec<Bytes> = list.iter().map(|waiting| waiting.held.clone()).collect();
    let queue = &shared.queue;
    let ask = || scripts::ack(&queue.redis, &queue.keys, session, &jobs);
    match until_answered(shared, session, ask).await {
        Ok((removals, asked_before)) => {
            for (waiting, removal) in list.into_iter().zip(removals) {
                waiting.conclude(shared, session, removal, asked_before);
            }
        }
        Err(error) => {
            let mut error = Some(error);
            for waiting in list {
                waiting.fail(error.take().map_or(Error::Ended, Error::Redis));
            }
        }
    }
}

async fn one(shared: &Shared, session: &Session, waiting: Waiting, verb: Verb) {
    let (redis, keys) = (&shared.queue.redis, &shared.queue.keys);
    let held = || waiting.held.clone();
    let answer = match verb {
        Verb::Ack => return,
        Verb::Release { back } => {
            let ask = || scripts::release(redis, keys, session, held(), back.clone());
            until_answered(shared, session, ask).await
        }
        Verb::Retry { job, delay } => {
            let ask = || scripts::retry(redis, keys, session, held(), job.clone(), delay);
            let answer = until_answered(shared, session, ask).await;
            shared.due.send_modify(|due| *due = sooner(*due, Instant::now() + delay));
            answer
        }
        Verb::Bury { job, why } => {
            let dead = scripts::Dead { held: held(), job, why };
            let ask = || scripts::bury(redis, keys, session, &dead, shared.queue.options.max_dead);
            until_answered(shared, session, ask).await
        }
    };
    match answer {
        Ok((removal, asked_before)) => waiting.conclude(shared, session, removal, asked_before),
        Err(error) => waiting.fail(error.into()),
    }
}

/// Asks until the server answers, the lease is over, or the failure is one that does not pass.
/// Says with the answer whether an earlier request may have been applied.
async fn until_answered<T, F>(
    shared: &Shared,
    session: &Session,
    mut ask: impl FnMut() -> F,
) -> Result<(T, Executed), RedisError>
where
    F: Future<Output = Result<T, RedisError>>,
{
    let mut asked_before = Executed::No;
    for tries in 0.. {
        let error = match ask().await {
            Ok(answer) => return Ok((answer, asked_before)),
            Err(error) => error,
        };
        if error.executed() == Executed::Maybe {
            asked_before = Executed::Maybe;
        }
        if !error.is_outage() || session.is_over() || shared.ended.is_cancelled() {
            return Err(error);
        }
        tokio::time::sleep(AGAIN.delay(tries)).await;
    }
    unreachable!("the loop above has no end of its own")
}

impl Waiting {
    /// Reads the server's answer. Only this task and a reap remove jobs from the list, and a reap
    /// removes the registration in the same step: a job that is gone while the registration is
    /// there was removed by an earlier request of ours.
    fn conclude(self, shared: &Shared, session: &Session, removal: Removal, asked_before: Executed) {
        let answer = match (removal.removed, removal.registered, asked_before) {
            (true, _, _) | (false, true, Executed::Maybe) => Ok(Settled::Done),
            (false, false, Executed::Maybe) => Err(Error::Ended),
            (false, _, Executed::No) => Ok(Settled::Lost),
        };
        let counter = match answer {
            Ok(Settled::Done) => &shared.counters.settled,
            Ok(Settled::Lost) | Err(_) => &shared.counters.lost,
        };
        count(counter, 1);
        session.settled(self.id);
        self.answer(answer);
    }

    fn fail(self, error: Error) {
        tracing::warn!(target: redis_patterns_core::telemetry::TARGET, %error, "a job could not be settled");
        self.answer(Err(error));
    }

    fn answer(self, answer: Result<Settled, Error>) {
        if let Some(asker) = self.answer {
            // Whoever asked may have stopped waiting.
            let _ = asker.send(answer);
        }
    }
}
