//! Names of metrics and spans. Labels are from the small sets given here; never ids, users or tokens.

pub(crate) use redis_patterns_core::telemetry::TARGET;
use redis_patterns_core::telemetry::count;
use tracing::{Instrument as _, Span};

/// Calls, by `operation` (the method; with `token_`, `code_` or `tower_` before it for those of
/// tokens, codes and tower-sessions) and `outcome`: `done`, `gone` (there is no such session, token
/// or code, or no longer), `refused` (full, changed by others, too soon, locked, a wrong guess,
/// another binding), `error`.
const CALLS: &str = "redis_patterns_session_calls_total";
/// Sessions that made room for another of their user.
const EVICTED: &str = "redis_patterns_session_evicted_total";
/// Renewals that a recorder did not write down.
const UNRECORDED: &str = "redis_patterns_session_unrecorded_total";

/// What a call on sessions amounts to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Done,
    Gone,
    Refused,
}

impl Outcome {
    /// Done if there was something to do it to.
    pub(crate) const fn of(there: bool) -> Self {
        if there { Self::Done } else { Self::Gone }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Refused => "refused",
        }
    }
}

/// Runs one call in its span, and counts how it ended.
macro_rules! told {
    ($operation:literal, $call:expr, $outcome:expr) => {{
        let span = tracing::debug_span!(
            target: $crate::telemetry::TARGET,
            concat!("session.", $operation),
            outcome = tracing::field::Empty
        );
        $crate::telemetry::tell($operation, span, $call, $outcome).await
    }};
}
pub(crate) use told;

pub(crate) async fn tell<R, E>(
    operation: &'static str,
    span: Span,
    call: impl Future<Output = Result<R, E>>,
    outcome: impl FnOnce(&R) -> Outcome,
) -> Result<R, E> {
    let answer = call.instrument(span.clone()).await;
    let outcome = answer.as_ref().map_or("error", |answer| outcome(answer).as_str());
    span.record("outcome", outcome);
    count(CALLS, &[("operation", operation), ("outcome", outcome)], 1);
    answer
}

pub(crate) fn evicted(how_many: usize) {
    count(EVICTED, &[], how_many as u64);
}

pub(crate) fn unrecorded() {
    count(UNRECORDED, &[], 1);
    tracing::warn!(target: TARGET, "a recorder did not write down that a session lives on");
}
