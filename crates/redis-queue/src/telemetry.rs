//! The names of the metrics (feature `metrics`), and what they count. No label holds a name or an id.
//!
//! Each push is also a span `queue.push` at debug level, with its `outcome`. Each run of a handler is a
//! span `queue.handle`, with the fields `jobs`, `micros`, how long it ran, and `traceparent`, the
//! span that pushed the first of them, if the job carries it.

use crate::error::Error;
use crate::outcome::Pushed;
use crate::reader::HeldJob;
use redis_patterns_core::telemetry::{TARGET, count, seconds};
use std::time::{Duration, SystemTime};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// Calls that pushed. Label: `outcome` (`accepted`, `duplicate`, `full`, `error`).
pub const PUSHES: &str = "redis_patterns_queue_pushes_total";
/// Jobs that a handler was started for. Label: `outcome` (`done`, `failed`, `dead`, `handed_back` by
/// a stop, `lost` with the lease).
pub const HANDLED: &str = "redis_patterns_queue_handled_total";
/// How long handlers ran, in seconds. No labels.
pub const HANDLER_SECONDS: &str = "redis_patterns_queue_handler_seconds";
/// From the push to the first start of a handler, in seconds, by the producer's and the worker's
/// clock; for a delayed job with its delay. No labels.
pub const WAITED_SECONDS: &str = "redis_patterns_queue_waited_seconds";
/// Jobs of lost workers that this process returned to the queue. No labels.
pub const RETURNED: &str = "redis_patterns_queue_returned_total";
/// Jobs that the server had handed out without this process hearing of it, found by an audit. No labels.
pub const ADOPTED: &str = "redis_patterns_queue_adopted_total";
/// Leases of this process that ended before it did. No labels.
pub const LEASES_LOST: &str = "redis_patterns_queue_leases_lost_total";

/// Runs one push in its span, counts it, and passes on what became of it.
pub(crate) async fn pushing(push: impl Future<Output = Result<Pushed, Error>>) -> Result<Pushed, Error> {
    let span = tracing::debug_span!(target: TARGET, "queue.push", outcome = Empty);
    let answer = push.instrument(span.clone()).await;
    let outcome = match &answer {
        Ok(Pushed::Accepted { .. }) => "accepted",
        Ok(Pushed::Duplicate { .. }) => "duplicate",
        Ok(Pushed::Full { .. }) => "full",
        Err(_) => "error",
    };
    span.record("outcome", outcome);
    count(PUSHES, &[("outcome", outcome)], 1);
    answer
}

/// The span of one run of a handler.
pub(crate) fn span(jobs: &[HeldJob]) -> Span {
    for job in jobs.iter().filter(|job| job.delivery() == 1) {
        let waited = SystemTime::now().duration_since(job.id().pushed_at());
        seconds(WAITED_SECONDS, &[], waited.unwrap_or_default());
    }
    let span = tracing::debug_span!(
        target: TARGET, "queue.handle", jobs = jobs.len(), micros = Empty, traceparent = Empty
    );
    if let Some(parent) = jobs.first().and_then(|job| job.trace()) {
        span.record("traceparent", tracing::field::display(parent));
    }
    span
}

/// Counts one run of a handler.
pub(crate) fn ran(span: &Span, time: Duration) {
    span.record("micros", u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    seconds(HANDLER_SECONDS, &[], time);
}

/// Counts one job that a handler was started for.
pub(crate) fn handled(outcome: &'static str) {
    count(HANDLED, &[("outcome", outcome)], 1);
}
