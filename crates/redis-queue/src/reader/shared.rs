//! What the tasks of a reader share.

use super::held::HeldJob;
use super::session::Session;
use super::settle::Settle;
use crate::error::Error;
use crate::job::Job;
use crate::options::WorkerOptions;
use crate::queue::Queue;
use crate::scripts;
use redis_patterns_core::Dedicated;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a reader has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderStats {
    /// Jobs that arrived.
    pub taken: u64,
    /// Jobs among them that the server had moved here without this reader hearing of it: found by
    /// looking into its own list, after an error or because a heartbeat showed one too many.
    pub adopted: u64,
    /// Jobs settled as done, given back or given up.
    pub settled: u64,
    /// Jobs that had gone to another worker before they were settled.
    pub lost: u64,
    /// Leases that ended before the reader did.
    pub leases_lost: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) taken: AtomicU64,
    pub(super) adopted: AtomicU64,
    pub(super) settled: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) leases_lost: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

pub(crate) struct Shared {
    pub(super) queue: Queue,
    pub(super) options: WorkerOptions,
    session: Mutex<Arc<Session>>,
    desk: Mutex<Desk>,
    /// Wakes the fetching task: somebody asks, or an audit is due.
    pub(super) asked: Notify,
    /// Wakes those who ask.
    supplied: Notify,
    pub(super) audit_due: AtomicBool,
    /// The connection that may be blocked.
    pub(super) line: Mutex<Option<Arc<Dedicated>>>,
    pub(super) outbox: mpsc::UnboundedSender<Settle>,
    /// Fetch no more.
    pub(super) stop: CancellationToken,
    /// Renew the lease no more, and start no other: it is about to be ended.
    pub(super) leaving: CancellationToken,
    /// The reader is closed: every task ends.
    pub(super) ended: CancellationToken,
    pub(super) sweep_due: Notify,
    /// Whether the sweep may end leases of those who are silent and gone.
    pub(super) gone_due: AtomicBool,
    /// A heartbeat is due at once: the first job came in or this process can be seen, and others
    /// rely on quick ones from now.
    pub(super) beat_due: Notify,
    /// When the next delayed job is due, as far as is known here.
    pub(super) due: watch::Sender<Option<Instant>>,
    pub(super) counters: Counters,
}

/// Jobs that arrived and those who wait for them.
#[derive(Default)]
struct Desk {
    jobs: VecDeque<(Arc<Session>, Job)>,
    wanted: usize,
    /// A failure that does not pass by itself, for the next who asks.
    fault: Option<Error>,
}

impl Shared {
    pub(super) async fn register(
        queue: Queue,
        options: WorkerOptions,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Settle>), Error> {
        let session = Session::new(&queue.keys, options.lease)?;
        scripts::join(&queue.redis, &queue.keys, &session).await?;
        let (outbox, settle) = mpsc::unbounded_channel();
        let shared = Self {
            queue,
            options,
            session: Mutex::new(Arc::new(session)),
            desk: Mutex::default(),
            asked: Notify::new(),
            supplied: Notify::new(),
            audit_due: AtomicBool::new(false),
            line: Mutex::default(),
            outbox,
            stop: CancellationToken::new(),
            leaving: CancellationToken::new(),
            ended: CancellationToken::new(),
            sweep_due: Notify::new(),
            gone_due: AtomicBool::new(false),
            beat_due: Notify::new(),
            due: watch::Sender::new(None),
            counters: Counters::default(),
        };
        Ok((Arc::new(shared), settle))
    }

    pub(super) fn session(&self) -> Arc<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_session(&self, session: Arc<Session>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
        self.asked.notify_one();
    }

    pub(super) async fn next_many(self: &Arc<Self>, most: usize) -> Result<Vec<HeldJob>, Error> {
        let mut demand = Demand { shared: self, jobs: 0 };
        loop {
            let supplied = self.supplied.notified();
            tokio::pin!(supplied);
            // Listening before looking, so that nothing arrives unseen in between.
            supplied.as_mut().enable();
            if let Some(answer) = self.at_hand(&mut demand, most) {
                return answer;
            }
            if self.stop.is_cancelled() {
                return Ok(Vec::new());
            }
            demand.raise_to(most);
            supplied.await;
        }
    }

    fn at_hand(
        self: &Arc<Self>,
        demand: &mut Demand<'_>,
        most: usize,
    ) -> Option<Result<Vec<HeldJob>, Error>> {
        let mut desk = self.desk();
        if let Some(fault) = desk.fault.take() {
            return Some(Err(fault));
        }
        // What came under a lease that is over belongs to others by now.
        desk.jobs.retain(|(session, _)| !session.is_over());
        let count = most.min(desk.jobs.len());
        if count > 0 {
            // Together with taking them, or one more would be fetched for nobody.
            desk.wanted -= std::mem::take(&mut demand.jobs);
        }
        let jobs = desk.jobs.drain(..count).map(|(session, job)| HeldJob::new(self, session, job));
        let jobs: Vec<_> = jobs.collect();
        (!jobs.is_empty()).then_some(Ok(jobs))
    }

    /// How many jobs are asked for and not there yet.
    pub(super) fn demand(&self) -> usize {
        let desk = self.desk();
        desk.wanted.saturating_sub(desk.jobs.len())
    }

    /// Lays jobs out for those who ask.
    pub(super) fn supply(&self, jobs: impl Iterator<Item = (Arc<Session>, Job)>) {
        self.desk().jobs.extend(jobs);
        self.supplied.notify_waiters();
    }

    /// Hands a failure to whoever asks next.
    pub(super) fn report(&self, fault: Error) {
        self.desk().fault = Some(fault);
        self.supplied.notify_waiters();
    }

    /// Takes back what nobody has been given yet, and tells those who wait that nothing comes.
    pub(super) fn clear_desk(&self) -> Vec<(Arc<Session>, Job)> {
        let jobs = self.desk().jobs.drain(..).collect();
        self.supplied.notify_waiters();
        jobs
    }

    pub(super) fn stats(&self) -> ReaderStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReaderStats {
            taken: read(&self.counters.taken),
            adopted: read(&self.counters.adopted),
            settled: read(&self.counters.settled),
            lost: read(&self.counters.lost),
            leases_lost: read(&self.counters.leases_lost),
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// What one caller of `next_many` asks for, until it stops asking.
struct Demand<'a> {
    shared: &'a Shared,
    jobs: usize,
}

impl Demand<'_> {
    fn raise_to(&mut self, jobs: usize) {
        self.shared.desk().wanted += jobs - self.jobs;
        self.jobs = jobs;
        self.shared.asked.notify_one();
    }
}

impl Drop for Demand<'_> {
    fn drop(&mut self) {
        self.shared.desk().wanted -= self.jobs;
    }
}
