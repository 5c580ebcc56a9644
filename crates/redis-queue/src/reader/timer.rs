//! The task that sleeps until the next delayed job is due.

use super::shared::Shared;
use crate::scripts;
use redis_patterns_core::{Notice, Subscription, telemetry};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The wait after a failure; a heartbeat tells the next due time anyway.
const AGAIN: Duration = Duration::from_secs(1);

/// The sooner of two moments, where `None` is never.
pub(super) fn sooner(known: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(known.map_or(other, |known| known.min(other)))
}

impl Shared {
    /// Notes what the server said of the next delayed job.
    pub(super) fn due_in(&self, span: Option<Duration>) {
        if let Some(span) = span {
            self.due.send_modify(|due| *due = sooner(*due, Instant::now() + span));
        }
    }
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut due = shared.due.subscribe();
    let mut notices = None;
    promote(&shared).await;
    loop {
        if notices.is_none() {
            notices = shared.queue.redis.subscribe(&shared.queue.keys.wake).await.ok();
            // What was scheduled before the subscription stood.
            promote(&shared).await;
        }
        let next = *due.borrow_and_update();
        tokio::select! {
            () = shared.ended.cancelled() => return,
            () = until(next) => promote(&shared).await,
            changed = due.changed() => if changed.is_err() { return },
            woken = woken(&mut notices) => if woken { promote(&shared).await },
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Whether a job was scheduled that is due before all others.
async fn woken(notices: &mut Option<Subscription>) -> bool {
    let Some(subscription) = notices else {
        tokio::time::sleep(AGAIN).await;
        return false;
    };
    match subscription.next().await {
        Ok(Notice::Message(_) | Notice::Missed) => true,
        Err(_) => {
            *notices = None;
            false
        }
    }
}

/// Moves what is due, and notes when the next is.
async fn promote(shared: &Shared) {
    shared.due.send_replace(None);
    loop {
        match scripts::promote(&shared.queue.redis, &shared.queue.keys).await {
            Ok(promoted) if promoted.due_in == Some(Duration::ZERO) && promoted.moved > 0 => {}
            Ok(promoted) => return shared.due_in(promoted.due_in),
            Err(error) => {
                tracing::warn!(target: telemetry::TARGET, %error, "delayed jobs could not be moved");
                return shared.due_in(Some(AGAIN));
            }
        }
    }
}
