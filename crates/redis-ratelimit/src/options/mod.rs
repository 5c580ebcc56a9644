//! What is limited: how much in how long, and by which rule.

mod approximate_window;
mod calendar;
mod concurrency;
mod fixed_window;
mod leased;
mod rule;
mod sliding_log;
mod sliding_window;
mod token_bucket;

pub use approximate_window::ApproximateWindow;
pub use calendar::Calendar;
pub use concurrency::Concurrency;
pub use fixed_window::FixedWindow;
pub use sliding_log::SlidingLog;
pub use sliding_window::SlidingWindow;
pub use token_bucket::TokenBucket;

pub(crate) use rule::{Kind, Rule, int};
use rule::{micros, whole_millis};

use crate::error::Error;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// Past this a script would lose digits (a Lua number keeps 53 bits).
const LARGEST: u64 = 1 << 53;
/// Half of where the running total of a log wraps, so that old and new never meet.
const LARGEST_TOTAL: u64 = 1 << 51;
/// A full bucket in parts, and the longest period in microseconds: with the microseconds since
/// the epoch they stay below 2^53 until the year 2112.
const LARGEST_PARTS: u128 = 1 << 52;
/// Names longer than this make every key longer for no gain.
const LONGEST_NAME: usize = 64;

/// The rule of a limit. Each kind says its worst case.
///
/// ```
/// use redis_ratelimit::{Policy, TokenBucket};
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let rate = NonZeroU64::new(10).unwrap();
/// let policy = Policy::from(TokenBucket::new("calls", rate, Duration::from_secs(1)).unwrap());
/// assert_eq!((policy.name(), policy.largest_cost()), ("calls", rate));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// One count, one expiry; up to twice the limit across a boundary.
    FixedWindow(FixedWindow),
    /// A steady rate and a burst above it.
    TokenBucket(TokenBucket),
    /// Exactly the limit in any window; one entry per admitted request.
    SlidingLog(SlidingLog),
    /// Exactly the limit in any window; a few numbers per subject.
    SlidingWindow(SlidingWindow),
    /// About the limit in any window; two numbers per subject.
    ApproximateWindow(ApproximateWindow),
}

impl Policy {
    /// The name, which is part of the keys.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.common().name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.common().name)
    }

    /// The most that one request can cost: the limit, or the burst of a bucket.
    #[must_use]
    pub fn largest_cost(&self) -> NonZeroU64 {
        match self {
            Self::TokenBucket(bucket) => bucket.capacity(),
            _ => self.common().limit,
        }
    }

    /// How long it takes until all that is admitted at once can be had again.
    pub(crate) fn refill_time(&self) -> Duration {
        match self {
            Self::TokenBucket(bucket) => bucket.fill_time(),
            Self::SlidingWindow(window) => window.common.period.saturating_add(window.bucket_width()),
            _ => self.common().period,
        }
    }

    pub(crate) fn rule(&self) -> Rule {
        match self {
            Self::FixedWindow(window) => window.rule(),
            Self::TokenBucket(bucket) => bucket.rule(),
            Self::SlidingLog(log) => log.rule(),
            Self::SlidingWindow(window) => window.rule(),
            Self::ApproximateWindow(window) => window.rule(),
        }
    }

    fn common(&self) -> &Common {
        match self {
            Self::FixedWindow(window) => &window.common,
            Self::TokenBucket(bucket) => &bucket.common,
            Self::SlidingLog(log) => &log.0,
            Self::SlidingWindow(window) => &window.common,
            Self::ApproximateWindow(window) => &window.0,
        }
    }
}

macro_rules! policy_from {
    ($($kind:ident),+) => {$(
        impl From<$kind> for Policy {
            fn from(policy: $kind) -> Self {
                Self::$kind(policy)
            }
        }
    )+};
}

policy_from! { FixedWindow, TokenBucket, SlidingLog, SlidingWindow, ApproximateWindow }

/// What every policy has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Common {
    name: Arc<str>,
    limit: NonZeroU64,
    period: Duration,
}

impl Common {
    fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(Error::Policy("the name of a limit has 1 to 64 bytes"));
        }
        if limit.get() > LARGEST {
            return Err(Error::Policy("a limit is at most 2^53 units"));
        }
        if period < Duration::from_millis(1) || period.as_micros() > LARGEST_PARTS {
            return Err(Error::Policy("a period is 1 millisecond to 2^52 microseconds"));
        }
        Ok(Self { name: name.into(), limit, period })
    }

    /// Rounded up: a limit is never looser than it says.
    fn period_us(&self) -> u128 {
        self.period.as_nanos().div_ceil(1_000)
    }

    fn rule(&self, kind: Kind, second: i64, third: i64) -> Rule {
        let largest = self.limit.get();
        Rule { name: Arc::clone(&self.name), kind, largest, numbers: [int(largest), second, third] }
    }
}
