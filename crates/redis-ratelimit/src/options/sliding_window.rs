//! A few counts instead of every request.

use super::{Common, Kind, LARGEST_TOTAL, Rule, micros};
use crate::error::Error;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Enough that room comes back within a tenth of the period.
const BUCKETS: NonZeroU32 = NonZeroU32::new(10).unwrap();
const MOST_BUCKETS: u32 = 1_000;

/// At most `limit` units in any trailing window of `period`, counted in buckets.
///
/// The period is cut into buckets (10 unless set), and the oldest one that reaches into the window
/// counts whole. That makes the bound strict, as [`SlidingLog`](crate::SlidingLog)'s is, for the
/// memory of `buckets + 1` numbers whatever the limit.
///
/// # Worst case: the limit, and room comes back late
///
/// Any window of length `period` holds at most `limit` units. The price: a unit may be held against
/// a subject for one bucket longer than the period, so a steady flow is admitted at
/// `buckets / (buckets + 1)` of the limit at the least.
///
/// ```
/// use redis_ratelimit::SlidingWindow;
/// use std::num::{NonZeroU32, NonZeroU64};
/// use std::time::Duration;
///
/// let limit = NonZeroU64::new(10_000).unwrap();
/// let calls = SlidingWindow::new("calls", limit, Duration::from_secs(3_600)).unwrap();
/// let finer = calls.buckets(NonZeroU32::new(60).unwrap()).unwrap();
/// assert_eq!(finer.bucket_width(), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    pub(super) common: Common,
    pub(super) buckets: NonZeroU32,
}

impl SlidingWindow {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys, with 10 buckets.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a limit above 2^51, a
    /// period below a millisecond or above 2^52 microseconds (142 years).
    pub fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        if limit.get() > LARGEST_TOTAL {
            return Err(Error::Policy("the limit of a sliding window is at most 2^51"));
        }
        Ok(Self { common: Common::new(name, limit, period)?, buckets: BUCKETS })
    }

    /// The same limit with another number of buckets, 1 to 1,000: more of them give room back
    /// sooner and take more memory.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for more than 1,000.
    pub fn buckets(self, buckets: NonZeroU32) -> Result<Self, Error> {
        if buckets.get() > MOST_BUCKETS {
            return Err(Error::Policy("a sliding window has 1 to 1,000 buckets"));
        }
        Ok(Self { buckets, ..self })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.common.name
    }

    /// The most units in any window of one period.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.common.limit
    }

    /// The length of the trailing window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.common.period
    }

    /// How long one bucket lasts: the longest that room comes back late. Whole microseconds,
    /// rounded up.
    #[must_use]
    pub fn bucket_width(&self) -> Duration {
        let width = self.common.period_us().div_ceil(u128::from(self.buckets.get()));
        Duration::from_micros(u64::try_from(width).unwrap_or(u64::MAX))
    }

    pub(super) fn rule(&self) -> Rule {
        let width = micros(self.bucket_width());
        self.common.rule(Kind::SlidingWindow, width, width * i64::from(self.buckets.get()))
    }
}
