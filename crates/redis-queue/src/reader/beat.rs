//! The tasks that keep the lease and watch over others' leases.

use super::session::Session;
use super::shared::{Shared, count};
use crate::reap::{self, Whose};
use crate::scripts;
use crate::telemetry as names;
use redis_patterns_core::{BootInstant, telemetry};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The longest time between two sweeps, for what no heartbeat sees.
const SWEEP: Duration = Duration::from_secs(30);
/// How late a heartbeat may be before others ask whether this process is still there.
const LATE: Duration = Duration::from_millis(350);
/// The shortest time between two heartbeats.
const SHORTEST: Duration = Duration::from_millis(100);
/// How much longer than a wait for jobs the list of an ended lease is looked at closely.
const YOUNG: Duration = Duration::from_secs(2);
/// The pause before the lists of those whose lease a sweep ended are looked at again: what went
/// back may have gone to a wait that one of them had begun.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(1);

/// Renews the lease, and starts a new session when it is lost.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut heart = Heart { suspicions: 0, last: Instant::now(), shared };
    heart.watch(heart.shared.session());
    loop {
        let pause = heart.shared.options.beat(heart.shared.session().holds());
        tokio::select! {
            () = heart.shared.leaving.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = heart.first_job() => {}
            () = heart.over() => {}
        }
        heart.beat().await;
    }
}

struct Heart {
    shared: Arc<Shared>,
    /// Heartbeats in a row that showed more jobs than are known here.
    suspicions: u32,
    last: Instant,
}

impl Heart {
    /// The end of the current session, and a pause against asking in a circle during an outage.
    async fn over(&self) {
        self.shared.session().ended().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    /// The first job after a time without one, but not more often than jobs make beats anyway.
    async fn first_job(&self) {
        self.shared.beat_due.notified().await;
        tokio::time::sleep(SHORTEST.saturating_sub(self.last.elapsed())).await;
    }

    async fn beat(&mut self) {
        self.last = Instant::now();
        let session = self.shared.session();
        if session.is_over() {
            return self.start_anew(&session).await;
        }
        // Several tries fit into a lease, so a slow answer must not take the time of the next.
        let patience = (self.shared.options.lease / 4).min(self.shared.queue.redis.deadline());
        let redis = self.shared.queue.redis.with_deadline(patience);
        // The heartbeat after this one comes at the latest after the pause that holds now.
        let pause = self.shared.options.beat(session.holds());
        let promise = session.is_present().then_some(pause + LATE);
        let sent = BootInstant::now();
        let young = self.shared.options.block + YOUNG;
        match scripts::beat(&redis, &self.shared.queue.keys, &session, promise, young).await {
            Ok(beat) if beat.renewed => {
                session.renew(sent);
                self.compare(beat.held, session.holds());
                if promise.is_some() && !beat.seen {
                    self.shared.unseen.notify_one();
                }
                self.shared.due_in(beat.due_in);
                if beat.silent > 0 {
                    self.shared.gone_due.store(true, Ordering::Release);
                }
                if beat.overdue + beat.silent > 0 {
                    self.shared.sweep_due.notify_one();
                }
            }
            Ok(_) => self.start_anew(&session).await,
            Err(error) => {
                tracing::warn!(target: telemetry::TARGET, %error, "a heartbeat failed");
            }
        }
    }

    /// What the server holds for us and nobody here knows of was moved by a request whose answer
    /// was lost. One look may meet a request that is under way; two in a row do not.
    fn compare(&mut self, on_server: u64, here: usize) {
        let too_many = usize::try_from(on_server).is_ok_and(|count| count > here);
        self.suspicions = if too_many { self.suspicions + 1 } else { 0 };
        if self.suspicions < 2 {
            return;
        }
        self.suspicions = 0;
        self.shared.audit_due.store(true, Ordering::Release);
        self.shared.asked.notify_one();
        let shared = self.shared.clone();
        self.shared.queue.redis.detach(async move { shared.unblock().await });
    }

    /// The lease is lost: what was held belongs to others. Goes on under a new name.
    async fn start_anew(&mut self, old: &Arc<Session>) {
        old.end();
        self.suspicions = 0;
        let queue = &self.shared.queue;
        let started = async {
            let session = Session::new(&queue.keys, self.shared.options.lease)?;
            scripts::join(&queue.redis, &queue.keys, &session).await?;
            Ok::<_, redis_patterns_core::Error>(Arc::new(session))
        };
        match started.await {
            Ok(session) => {
                count(&self.shared.counters.leases_lost, 1);
                telemetry::count(names::LEASES_LOST, &[], 1);
                tracing::warn!(target: telemetry::TARGET, "the lease was lost; its jobs went back to the queue");
                self.watch(session.clone());
                self.shared.set_session(session);
                self.shared.unblock().await;
            }
            Err(error) => {
                tracing::warn!(target: telemetry::TARGET, %error, "cannot register again");
            }
        }
    }

    /// Ends the session at the end of its lease even while no heartbeat gets through.
    /// Meanwhile shows the server that this process is there.
    fn watch(&self, session: Arc<Session>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shared.ended.cancelled() => {}
                () = session.fence() => {}
                () = be_present(&shared, &session) => {}
            }
        });
    }
}

/// Holds a subscription that ends with this process: others ask the server for it.
async fn be_present(shared: &Shared, session: &Session) {
    let channel = shared.queue.keys.alive(session.incarnation());
    loop {
        if let Ok(mut subscription) = shared.queue.redis.subscribe(&channel).await {
            session.set_present(true);
            shared.beat_due.notify_one();
            // It brings no messages; it ends when the handle is closed. The server that owns the
            // slot may have become another, which does not see it.
            loop {
                tokio::select! {
                    () = shared.unseen.notified() => break,
                    heard = subscription.next() => if heard.is_err() { break },
                }
            }
        }
        session.set_present(false);
        tokio::time::sleep(SUBSCRIBE_AGAIN).await;
    }
}

/// Returns the jobs of workers that are gone: at the start, when a heartbeat shows one, and now and
/// then.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        let gone = shared.gone_due.swap(false, Ordering::AcqRel);
        let whose = if gone { Whose::OverdueOrGone } else { Whose::Overdue };
        let mut pause = SWEEP;
        match reap::sweep(&shared.queue, whose).await {
            Ok(reaped) if reaped.jobs > 0 || reaped.workers > 0 => {
                telemetry::count(names::RETURNED, &[], reaped.jobs);
                pause = LOOK_AGAIN;
                tracing::info!(target: telemetry::TARGET, workers = reaped.workers, jobs = reaped.jobs, "returned jobs of lost workers");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(target: telemetry::TARGET, %error, "a sweep failed"),
        }
        tokio::select! {
            () = shared.ended.cancelled() => return,
            () = shared.sweep_due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
