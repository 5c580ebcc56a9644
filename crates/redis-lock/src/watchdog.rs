//! The task that renews all guards of a handle.

use crate::claim::{Claim, Share};
use crate::error::Lost;
use crate::hold::Hold;
use crate::{scripts, telemetry};
use redis_patterns_core::{Backoff, BootInstant, Error as RedisError, Redis};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// Waits between tries while Redis does not answer; what is left of the lease bounds them.
const TRIES: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
/// The longest time in which the server is asked why a lock was lost.
const LONGEST_LOOK: Duration = Duration::from_millis(250);
/// The longest sleep: with no guard left the task ends after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The most locks of one script: it holds the server for some tens of microseconds.
const BATCH: usize = 100;

/// Renews the guards of one handle for as long as they live.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog(Arc<Mutex<Watched>>);

#[derive(Debug, Default)]
struct Watched {
    holds: Vec<Weak<Hold>>,
    /// Runs while there are holds.
    task: Option<AbortHandle>,
}

impl Watchdog {
    /// Renews this one too.
    pub(crate) fn watch(&self, redis: &Redis, hold: &Arc<Hold>) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.holds.push(Arc::downgrade(hold));
        // Finished also means that it ended with its runtime.
        if watched.task.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = run(self.clone(), redis.clone(), hold.claim.lease);
            watched.task = Some(tokio::spawn(task).abort_handle());
        }
    }

    /// The holds that live; none ends the task.
    fn living(&self) -> Vec<Arc<Hold>> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut living = Vec::with_capacity(watched.holds.len());
        watched.holds.retain(|hold| {
            let held = hold.upgrade().filter(|hold| hold.held().is_ok());
            living.extend(held.clone());
            held.is_some()
        });
        if living.is_empty() {
            watched.task = None;
        }
        living
    }
}

/// Renews each hold between a quarter and a third of its lease, together with those that are due
/// at about the same time.
async fn run(watchdog: Watchdog, redis: Redis, lease: Duration) {
    let mut failures = 0;
    loop {
        let living = watchdog.living();
        let Some(next) = living.iter().map(|hold| hold.since().remaining_of(lease / 3)).min() else { return };
        let wait = if next.is_zero() {
            let due = living.into_iter().filter(|hold| hold.since().elapsed() >= lease / 4).collect();
            failures = if renew_all(&redis, due, lease).await { 0 } else { failures + 1 };
            if failures == 0 { Duration::ZERO } else { TRIES.delay(failures) }
        } else {
            // Not kept over the wait: a guard that is dropped meanwhile is gone.
            drop(living);
            next
        };
        // A guard that comes meanwhile may be due sooner, if its grant was long in coming.
        tokio::time::sleep(wait.min(lease / 12).min(LONGEST_SLEEP)).await;
    }
}

/// Whether everybody was answered.
async fn renew_all(redis: &Redis, due: Vec<Arc<Hold>>, lease: Duration) -> bool {
    // Never so long that others, not yet due, could miss theirs meanwhile.
    let hurried = redis.with_deadline(redis.deadline().min(lease / 3));
    let mut calls = JoinSet::new();
    for batch in batches(redis.is_cluster(), due) {
        let redis = hurried.clone();
        calls.spawn(async move { renew(&redis, &batch).await });
    }
    let answered = calls.join_all().await;
    answered.iter().all(|answered| *answered)
}

/// What one script can take: mutexes, in a cluster those of one slot; each permit by itself.
fn batches(is_cluster: bool, due: Vec<Arc<Hold>>) -> Vec<Vec<Arc<Hold>>> {
    let mut groups: BTreeMap<Option<u16>, Vec<Arc<Hold>>> = BTreeMap::new();
    let mut batches = Vec::new();
    for hold in due {
        match hold.claim.share {
            Share::Permits { .. } => batches.push(vec![hold]),
            Share::Whole => {
                let slot = is_cluster.then(|| hold.claim.keys.lock.slot());
                groups.entry(slot).or_default().push(hold);
            }
        }
    }
    for mut group in groups.into_values() {
        while !group.is_empty() {
            batches.push(group.split_off(group.len().saturating_sub(BATCH)));
        }
    }
    batches
}

async fn renew(redis: &Redis, batch: &[Arc<Hold>]) -> bool {
    let sent = BootInstant::now();
    for hold in batch {
        hold.sending();
    }
    match extend(redis, batch).await {
        Ok(extended) => {
            let lost = extended.iter().filter(|extended| !**extended).count();
            telemetry::renewed("renewed", extended.len() - lost);
            telemetry::renewed("lost", lost);
            let mut losing = JoinSet::new();
            for (hold, extended) in batch.iter().zip(extended) {
                if extended {
                    // One that was lost meanwhile stays lost.
                    let _ = hold.renew(sent);
                } else {
                    let (redis, hold) = (redis.clone(), hold.clone());
                    losing.spawn(async move { lose(&redis, &hold).await });
                }
            }
            losing.join_all().await;
            true
        }
        // Also of a closed handle: the guards end with their leases.
        Err(_) => {
            telemetry::renewed("error", batch.len());
            false
        }
    }
}

async fn extend(redis: &Redis, batch: &[Arc<Hold>]) -> Result<Vec<bool>, RedisError> {
    match batch {
        [hold] => Ok(vec![scripts::extend(redis, &hold.claim).await?]),
        batch => {
            let claims: Vec<&Claim> = batch.iter().map(|hold| &hold.claim).collect();
            scripts::extend_all(redis, &claims).await
        }
    }
}

/// Ends a hold that the server does not know any more, and finds out why if that is soon answered:
/// the holder and the others that are renewed wait for it.
pub(crate) async fn lose(redis: &Redis, hold: &Hold) -> Lost {
    let Ok((fence, _)) = hold.held() else { return hold.lose(Lost::Gone) };
    let soon = redis.deadline().min(hold.claim.lease / 12).min(LONGEST_LOOK);
    let revoked = scripts::was_revoked(&redis.with_deadline(soon), &hold.claim, fence).await;
    hold.lose(if matches!(revoked, Ok(true)) { Lost::Revoked } else { Lost::Gone })
}
