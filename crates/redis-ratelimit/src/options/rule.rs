//! What the keys and scripts need to know of a policy.

use std::sync::Arc;
use std::time::Duration;

/// Each kind stores another type, so each has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    FixedWindow,
    CalendarWindow,
    TokenBucket,
    SlidingLog,
    SlidingWindow,
    ApproximateWindow,
    Slots,
}

/// One limit, as a script takes it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// The most that can be had at once.
    pub(crate) largest: u64,
    /// What the part of the kind documents as its numbers.
    pub(crate) numbers: [i64; 3],
}

/// Rounded up: a limit is never looser than it says.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// Rounded up.
pub(super) fn whole_millis(span: Duration) -> i64 {
    redis_patterns_core::millis(span)
}

/// A script reads 53 bits; what is larger is more than any limit.
pub(crate) fn int(number: u64) -> i64 {
    number.min(1 << 53).cast_signed()
}
