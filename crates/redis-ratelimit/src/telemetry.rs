//! The names of the metrics (feature `metrics`), and what they count. No label holds a key, an id or
//! the name of a policy.
//!
//! Each check that asks Redis is also a span `ratelimit.check` at debug level, with the field
//! `outcome`, around core's `redis.call`.

use crate::decision::{Decision, Outcome, Source};
use crate::error::Error;
use redis_patterns_core::telemetry::{TARGET, count, seconds};
use std::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

/// Decisions. Labels: `outcome` (`allowed`, `denied`, `degraded`) and `source` (`redis`, `lease`,
/// `local_denial`, `fallback`).
pub const DECISIONS: &str = "redis_patterns_ratelimit_decisions_total";
/// Checks that got no decision from Redis. Label: `kind` (`outage`, `other`).
pub const ERRORS: &str = "redis_patterns_ratelimit_errors_total";
/// How long checks that asked Redis took, in seconds, also those that failed. No labels.
pub const CHECK_SECONDS: &str = "redis_patterns_ratelimit_check_seconds";
/// Requests that a layer in shadow would have denied. No labels.
pub const SHADOW_DENIALS: &str = "redis_patterns_ratelimit_shadow_denials_total";

/// Watches one question to Redis.
pub(crate) async fn asked(
    question: impl Future<Output = Result<Decision, Error>>,
) -> Result<Decision, Error> {
    let span = tracing::debug_span!(target: TARGET, "ratelimit.check", outcome = Empty);
    let started = Instant::now();
    let answer = question.instrument(span.clone()).await;
    seconds(CHECK_SECONDS, &[], started.elapsed());
    match &answer {
        Ok(decision) => {
            span.record("outcome", outcome(decision));
            decided(decision);
        }
        Err(error) => {
            span.record("outcome", "error");
            count(ERRORS, &[("kind", if error.is_outage() { "outage" } else { "other" })], 1);
        }
    }
    answer
}

/// Counts one decision.
pub(crate) fn decided(decision: &Decision) {
    let source = match decision.source {
        Source::Redis => "redis",
        Source::Lease => "lease",
        Source::LocalDenial => "local_denial",
        Source::Fallback(_) => "fallback",
    };
    count(DECISIONS, &[("outcome", outcome(decision)), ("source", source)], 1);
}

/// Counts a request that would have been denied.
#[cfg(feature = "tower")]
pub(crate) fn shadow_denial() {
    count(SHADOW_DENIALS, &[], 1);
}

fn outcome(decision: &Decision) -> &'static str {
    match decision.outcome {
        Outcome::Allowed => "allowed",
        Outcome::Denied { .. } => "denied",
        Outcome::Degraded(_) => "degraded",
    }
}
