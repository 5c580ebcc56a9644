//! Names of metrics and spans. Labels are from the small sets given here; never names of locks.

use crate::error::{Error, Lost};
use crate::locks::TryLock;
pub(crate) use redis_patterns_core::telemetry::TARGET;
use redis_patterns_core::telemetry::{count, seconds};
use std::time::Duration;

/// Calls that ask for a lock, by `outcome`: `acquired`, `busy`, `error`.
const REQUESTS: &str = "redis_patterns_lock_requests_total";
/// From the call to its answer, in seconds, by `outcome` as above.
const WAIT: &str = "redis_patterns_lock_wait_seconds";
/// From the request that was granted to the release or drop, in seconds.
const HOLD: &str = "redis_patterns_lock_hold_seconds";
/// What was left of the guard's time at its release or drop, in seconds; near zero is a near miss.
const MARGIN: &str = "redis_patterns_lock_margin_seconds";
/// Locks lost while a guard held them, by `reason`: `expired`, `gone`, `revoked`, `held_too_long`.
const LOST: &str = "redis_patterns_lock_lost_total";
/// Locks left to their lease, since no release was answered in time.
const LEAKED: &str = "redis_patterns_lock_leaked_total";
/// Renewals of the background task, by `outcome`: `renewed`, `lost`, `error`.
const RENEWALS: &str = "redis_patterns_lock_renewals_total";

pub(crate) fn outcome<G>(answer: &Result<TryLock<G>, Error>) -> &'static str {
    match answer {
        Ok(TryLock::Acquired(_)) => "acquired",
        Ok(TryLock::Busy { .. }) => "busy",
        Err(_) => "error",
    }
}

pub(crate) fn asked(outcome: &'static str, waited: Duration) {
    count(REQUESTS, &[("outcome", outcome)], 1);
    seconds(WAIT, &[("outcome", outcome)], waited);
}

/// The end of a guard; `margin` is `None` if its lock was lost before.
pub(crate) fn ended(held: Duration, margin: Option<Duration>) {
    seconds(HOLD, &[], held);
    if let Some(margin) = margin {
        seconds(MARGIN, &[], margin);
    }
}

pub(crate) fn lost(reason: Lost) {
    let reason = match reason {
        Lost::Expired => "expired",
        Lost::Gone => "gone",
        Lost::Revoked => "revoked",
        Lost::HeldTooLong => "held_too_long",
    };
    count(LOST, &[("reason", reason)], 1);
    tracing::debug!(target: TARGET, reason, "lock lost");
}

pub(crate) fn leaked() {
    count(LEAKED, &[], 1);
    tracing::debug!(target: TARGET, "lock left to its lease");
}

pub(crate) fn renewed(outcome: &'static str, how_many: usize) {
    if how_many > 0 {
        count(RENEWALS, &[("outcome", outcome)], how_many as u64);
    }
}
