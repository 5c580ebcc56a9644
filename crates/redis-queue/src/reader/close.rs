//! The end of a reader.

use super::beat;
use super::fetch::{self, Last};
use super::settle::{self, Settle, Verb};
use super::shared::Shared;
use super::timer;
use crate::error::Error;
use crate::reap;
use crate::scripts::End;
use redis_patterns_core::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How often the wait for a job is ended again: the first time may have come just before it began.
const UNBLOCK_AGAIN: Duration = Duration::from_millis(20);
const AGAIN: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

/// The tasks of a reader.
#[derive(Debug)]
pub(super) struct Tasks {
    fetch: JoinHandle<Last>,
    beat: JoinHandle<()>,
    others: [JoinHandle<()>; 3],
}

impl Tasks {
    pub(super) fn spawn(shared: &Arc<Shared>, outbox: mpsc::UnboundedReceiver<Settle>) -> Self {
        Self {
            fetch: tokio::spawn(fetch::run(shared.clone())),
            beat: tokio::spawn(beat::run(shared.clone())),
            others: [
                tokio::spawn(settle::run(shared.clone(), outbox)),
                tokio::spawn(beat::sweep(shared.clone())),
                tokio::spawn(timer::run(shared.clone())),
            ],
        }
    }

    /// Ends the reader: no more jobs in, what is held goes back, the lease ends.
    pub(super) async fn close(mut self, shared: Arc<Shared>) -> Result<(), Error> {
        shared.stop.cancel();
        let last = loop {
            tokio::select! {
                last = &mut self.fetch => break last.unwrap_or(Last::Unknown),
                () = tokio::time::sleep(UNBLOCK_AGAIN) => shared.unblock().await,
            }
        };
        shared.hand_back();
        shared.flush().await;
        // Past this no other session can begin.
        shared.leaving.cancel();
        let _ = self.beat.await;
        let session = shared.session();
        // A job that was handed out and is not settled may have been started.
        let end = if session.holds() == 0 && last == Last::Answered { End::Left } else { End::Fenced };
        session.end();
        let left = leave(&shared, end).await;
        shared.ended.cancel();
        for task in self.others {
            // A panic of a task is reported where it happens.
            let _ = task.await;
        }
        left
    }
}

/// Ends the lease, through outages as long as it would last.
async fn leave(shared: &Shared, end: End) -> Result<(), Error> {
    let session = shared.session();
    for tries in 0.. {
        let error = match reap::end(&shared.queue, session.incarnation(), end).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !error.is_outage() || session.remaining().is_zero() {
            return Err(error);
        }
        tokio::time::sleep(AGAIN.delay(tries)).await;
    }
    Ok(())
}

impl Shared {
    /// Stops fetching and returns what nobody was given.
    pub(super) async fn stop_fetching(&self) {
        self.stop.cancel();
        self.hand_back();
        self.unblock().await;
    }

    /// Puts what nobody was given back to the front, the newest first, so that the oldest ends up
    /// the next to be taken.
    fn hand_back(&self) {
        for (session, job) in self.clear_desk().into_iter().rev() {
            let (id, held) = (job.id(), job.element().clone());
            let verb = Verb::Release { back: held.clone() };
            // The settling task is there until the reader is closed.
            let _ = self.outbox.send(Settle::Job { session, id, held, verb, answer: None });
        }
    }

    async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.outbox.send(Settle::Flush(done)).is_ok() {
            // Without an answer the task is gone, and with it everything there was to settle.
            let _ = flushed.await;
        }
    }
}
