//! The tasks that keep the lease and watch over others' leases.

use super::session::Session;
use super::shared::{Shared, count};
use crate::reap;
use crate::scripts;
use redis_patterns_core::{BootInstant, telemetry};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest time between two sweeps, for what no heartbeat sees.
const SWEEP: Duration = Duration::from_secs(10);

/// Renews the lease, and starts a new session when it is lost.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut heart = Heart { suspicions: 0, shared };
    heart.watch(heart.shared.session());
    loop {
        let pause = heart.shared.options.beat();
        tokio::select! {
            () = heart.shared.ended.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = heart.over() => {}
        }
        heart.beat().await;
    }
}

struct Heart {
    shared: Arc<Shared>,
    /// Heartbeats in a row that showed more jobs than are known here.
    suspicions: u32,
}

impl Heart {
    /// The end of the current session, and a pause against asking in a circle during an outage.
    async fn over(&self) {
        self.shared.session().ended().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn beat(&mut self) {
        let session = self.shared.session();
        if session.is_over() {
            return self.start_anew(&session).await;
        }
        // Several tries fit into a lease, so a slow answer must not take the time of the next.
        let patience = self.shared.options.beat().min(self.shared.queue.redis.deadline());
        let redis = self.shared.queue.redis.with_deadline(patience);
        let sent = BootInstant::now();
        match scripts::beat(&redis, &self.shared.queue.keys, &session).await {
            Ok(beat) if beat.renewed => {
                session.renew(sent);
                self.compare(beat.held, session.holds());
                self.shared.due_in(beat.due_in);
                if beat.overdue > 0 {
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
    fn watch(&self, session: Arc<Session>) {
        let ended = self.shared.ended.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = session.fence() => {}
            }
        });
    }
}

/// Returns the jobs of workers that are gone: at the start, when a heartbeat shows one, and now and
/// then.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        match reap::sweep(&shared.queue).await {
            Ok(reaped) if reaped.jobs > 0 || reaped.workers > 0 => {
                tracing::info!(target: telemetry::TARGET, workers = reaped.workers, jobs = reaped.jobs, "returned jobs of lost workers");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(target: telemetry::TARGET, %error, "a sweep failed"),
        }
        tokio::select! {
            () = shared.ended.cancelled() => return,
            () = shared.sweep_due.notified() => {}
            () = tokio::time::sleep(SWEEP) => {}
        }
    }
}
