//! The names of the metrics (feature `metrics`), and what they count. No label holds a key, a scope or an
//! operation.
//!
//! Each `begin` is also a span `idem.begin` at debug level, with the field `answer`, and each end of a claim a
//! span `idem.end`, with the field `ending`; both are around core's `redis.call`.

use crate::audit::AuditEvent;
use crate::begin::Begin;
use crate::error::Error;
use redis_patterns_core::telemetry::{TARGET, count, seconds};
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// Requests, by `answer`: `started`, `taken_over`, `replay`, `in_progress`, `in_doubt`, `mismatch`, `outage`, `error`.
pub const BEGINS: &str = "redis_patterns_idem_begins_total";
/// How long they were asked about, in seconds, with what a durable store and a judge took. No labels.
pub const BEGIN_SECONDS: &str = "redis_patterns_idem_begin_seconds";
/// Ends of claims as Redis has them, by `ending`: `completed`, `restored`, `released`, `abandoned`, `in_doubt`, `lost`.
pub const ENDINGS: &str = "redis_patterns_idem_endings_total";
/// From the claim to its end, in seconds, by `ending` as above.
pub const WORK_SECONDS: &str = "redis_patterns_idem_work_seconds";
/// Claims that were lost while the work went on under `hold_while`. No labels.
pub const LEASES_LOST: &str = "redis_patterns_idem_leases_lost_total";
/// Steps that were taken and that the audit trail has no entry of, by `event` ([`AuditEvent::name`]); each is also
/// a warning.
pub const AUDIT_ENTRIES_LOST: &str = "redis_patterns_idem_audit_entries_lost_total";

/// Watches one question.
pub(crate) async fn asked(question: impl Future<Output = Result<Begin, Error>>) -> Result<Begin, Error> {
    let span = tracing::debug_span!(target: TARGET, "idem.begin", answer = Empty);
    let started = Instant::now();
    let begun = question.instrument(span.clone()).await;
    seconds(BEGIN_SECONDS, &[], started.elapsed());
    let answer = answer(&begun);
    span.record("answer", answer);
    count(BEGINS, &[("answer", answer)], 1);
    begun
}

fn answer(begun: &Result<Begin, Error>) -> &'static str {
    match begun {
        Ok(Begin::Started(claim)) if claim.attempt() == 1 => "started",
        Ok(Begin::Started(_)) => "taken_over",
        Ok(Begin::Replay(_)) => "replay",
        Ok(Begin::InProgress { .. }) => "in_progress",
        Ok(Begin::InDoubt) => "in_doubt",
        Ok(Begin::Mismatch) => "mismatch",
        Err(error) if error.is_outage() => "outage",
        Err(_) => "error",
    }
}

/// A span for the end of a claim.
pub(crate) fn ending() -> Span {
    tracing::debug_span!(target: TARGET, "idem.end", ending = Empty)
}

/// Counts the end of a claim, within its span.
pub(crate) fn ended(event: AuditEvent, worked: Duration) {
    let ending = event.name();
    Span::current().record("ending", ending);
    count(ENDINGS, &[("ending", ending)], 1);
    seconds(WORK_SECONDS, &[("ending", ending)], worked);
}

/// Counts a claim that was lost under its work.
pub(crate) fn lease_lost() {
    count(LEASES_LOST, &[], 1);
    tracing::debug!(target: TARGET, "claim lost under its work");
}

/// Counts a step that the trail has no entry of.
pub(crate) fn entry_lost(event: AuditEvent) {
    count(AUDIT_ENTRIES_LOST, &[("event", event.name())], 1);
    tracing::warn!(target: TARGET, event = event.name(), "the audit trail could not be written after the step");
}
