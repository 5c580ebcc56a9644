//! The task that takes jobs. It owns the connection that blocks and is never cancelled: an answer
//! that arrives is always read. After any failure it looks into its own list for what the server
//! moved there without this task hearing of it.

use super::session::Session;
use super::settle::{Settle, Verb};
use super::shared::{Shared, count};
use crate::error::Error;
use crate::job::{Job, JobId};
use crate::reap;
use crate::scripts::{self, BATCH, End};
use crate::telemetry as names;
use bytes::Bytes;
use redis_patterns_core::{Backoff, Dedicated, telemetry};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Waits after a failure; the longest is well below a lease.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
/// The wait before asking again when the server is out of memory and refuses to block.
const REFUSED: Duration = Duration::from_millis(100);

/// Whether the last thing this task asked for was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Answered,
    Unknown,
}

struct Fetcher {
    shared: Arc<Shared>,
    session: Arc<Session>,
    last: Last,
    /// Whether the queue was empty when it was last asked.
    drained: bool,
    tries: u32,
}

pub(super) async fn run(shared: Arc<Shared>) -> Last {
    let session = shared.session();
    let mut fetcher = Fetcher { shared, session, last: Last::Answered, drained: false, tries: 0 };
    while fetcher.step().await.is_continue() {}
    fetcher.shared.put_line(None);
    fetcher.last
}

impl Fetcher {
    async fn step(&mut self) -> ControlFlow<()> {
        let stop = self.shared.stop.clone();
        if stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        self.follow_session();
        let shared = self.shared.clone();
        // A call between here and the wait is remembered by the notification.
        let (demand, audit) = (self.shared.demand(), self.shared.audit_due.load(Ordering::Acquire));
        if (demand == 0 && !audit) || self.session.is_over() {
            tokio::select! {
                () = stop.cancelled() => return ControlFlow::Break(()),
                () = shared.asked.notified() => return ControlFlow::Continue(()),
            }
        }
        match self.fetch(demand.min(BATCH)).await {
            Ok(()) => self.tries = 0,
            Err(error) => self.recover(error).await,
        }
        ControlFlow::Continue(())
    }

    /// Turns to the new session if the lease was lost, and returns what the old one held.
    fn follow_session(&mut self) {
        let current = self.shared.session();
        if Arc::ptr_eq(&current, &self.session) {
            return;
        }
        let old = std::mem::replace(&mut self.session, current);
        let queue = self.shared.queue.clone();
        // Nothing of this task is under way for the old one. If this fails, the reaper does it.
        self.shared.queue.redis.detach(async move {
            if let Err(error) = reap::end(&queue, old.incarnation(), End::Fenced).await {
                tracing::warn!(target: telemetry::TARGET, %error, "the jobs of a lost lease wait for the reaper");
            }
        });
    }

    async fn fetch(&mut self, demand: usize) -> Result<(), redis_patterns_core::Error> {
        let line = self.line();
        if self.last == Last::Unknown || self.shared.audit_due.swap(false, Ordering::AcqRel) {
            self.audit(&line).await?;
            self.last = Last::Answered;
            return Ok(());
        }
        if !self.drained {
            self.drained = self.take(&line, demand).await?;
            return Ok(());
        }
        // Jobs come one by one to a queue that is drained; whether more came is asked after each.
        let waited = scripts::wait(&line, &self.shared.queue.keys, &self.session, self.shared.options.block);
        match waited.await {
            Ok(job) => {
                self.drained = job.is_none();
                self.deliver(job.into_iter().collect());
            }
            // The script may still take: it frees as much as it uses.
            Err(error) if error.code() == Some("OOM") => {
                self.drained = false;
                tokio::time::sleep(REFUSED).await;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes what waits; says whether nothing did.
    async fn take(&self, line: &Dedicated, demand: usize) -> Result<bool, redis_patterns_core::Error> {
        let queue = &self.shared.queue;
        match scripts::take(line, &queue.redis, &queue.keys, &self.session, demand).await? {
            Some(jobs) => {
                let none = jobs.is_empty();
                self.deliver(jobs);
                Ok(none)
            }
            None => {
                self.session.end();
                Ok(false)
            }
        }
    }

    fn line(&self) -> Arc<Dedicated> {
        if let Some(line) = self.shared.get_line() {
            return line;
        }
        let line = Arc::new(self.shared.queue.redis.dedicated());
        self.shared.put_line(Some(line.clone()));
        line
    }

    /// Adopts what the server says is ours and nobody here holds.
    async fn audit(&self, line: &Dedicated) -> Result<(), redis_patterns_core::Error> {
        self.session.begin_audit();
        let listed = scripts::held(line, &self.session).await;
        let orphan = |element: &Bytes| match Job::open(element.clone()) {
            Some(job) => self.session.is_orphan(job.id()),
            None => true,
        };
        let orphans = listed.map(|listed| listed.into_iter().rev().filter(orphan).collect::<Vec<_>>());
        self.session.end_audit();
        let orphans = orphans?;
        if !orphans.is_empty() {
            count(&self.shared.counters.adopted, orphans.len());
            telemetry::count(names::ADOPTED, &[], orphans.len() as u64);
            tracing::info!(target: telemetry::TARGET, jobs = orphans.len(), "found jobs that nobody held");
        }
        self.deliver(orphans);
        Ok(())
    }

    fn deliver(&self, elements: Vec<Bytes>) {
        if elements.is_empty() || self.session.is_over() {
            return;
        }
        let mut jobs = Vec::with_capacity(elements.len());
        for element in elements {
            match Job::open(element.clone()) {
                Some(job) if self.session.hold(job.id()) => jobs.push((self.session.clone(), job)),
                // Already held: nothing to do.
                Some(_) => {}
                None => self.bury(element),
            }
        }
        count(&self.shared.counters.taken, jobs.len());
        if self.session.holds() == jobs.len() && !jobs.is_empty() {
            self.shared.beat_due.notify_one();
        }
        self.shared.supply(jobs.into_iter());
    }

    /// An element that is no envelope of a known version: it cannot run, and must not be lost.
    fn bury(&self, element: Bytes) {
        let why = "not a job of redis-queue, or of a later version".to_owned();
        let verb = Verb::Bury { job: element.clone(), why };
        let settle = Settle::Job {
            session: self.session.clone(),
            id: JobId([0; 16]),
            held: element,
            verb,
            answer: None,
        };
        // The settling task outlives this one.
        let _ = self.shared.outbox.send(settle);
    }

    async fn recover(&mut self, error: redis_patterns_core::Error) {
        self.last = Last::Unknown;
        self.drained = false;
        self.shared.put_line(None);
        tracing::warn!(target: telemetry::TARGET, %error, tries = self.tries, "fetching jobs failed");
        if !error.is_outage() {
            self.shared.report(Error::Redis(error));
        }
        let wait = AGAIN.delay(self.tries);
        self.tries = self.tries.saturating_add(1);
        tokio::select! {
            () = self.shared.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Shared {
    fn get_line(&self) -> Option<Arc<Dedicated>> {
        self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn put_line(&self, line: Option<Arc<Dedicated>>) {
        *self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = line;
    }

    /// Ends the wait for a job, if one is under way.
    pub(super) async fn unblock(&self) {
        if let Some(line) = self.get_line() {
            // A wait that cannot be ended ends by itself.
            let _ = line.unblock().await;
        }
    }
}
