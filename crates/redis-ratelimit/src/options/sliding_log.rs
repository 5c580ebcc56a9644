//! Every admitted request remembered for one period.

use super::{Common, Kind, LARGEST_TOTAL, Rule, micros};
use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// At most `limit` units in any trailing window of `period`, to the microsecond.
///
/// # Worst case: the limit
///
/// Any window of length `period` holds at most `limit` units, and none is refused that would fit.
///
/// # Memory
///
/// One entry of about 20 bytes for each admitted request of the last period (about 100 above 128
/// entries), so at most `limit` entries per subject, whatever a request costs. Denied requests leave
/// nothing. For limits in the thousands use [`SlidingWindow`](crate::SlidingWindow).
///
/// ```
/// use redis_ratelimit::SlidingLog;
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let mails = SlidingLog::new("mails", NonZeroU64::new(20).unwrap(), Duration::from_secs(3_600)).unwrap();
/// assert_eq!(mails.limit().get(), 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingLog(pub(super) Common);

impl SlidingLog {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a limit above 2^51, a
    /// period below a millisecond or above 2^52 microseconds (142 years).
    pub fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        if limit.get() > LARGEST_TOTAL {
            return Err(Error::Policy("the limit of a log is at most 2^51"));
        }
        Common::new(name, limit, period).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The most units in any window of one period.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.0.limit
    }

    /// The length of the trailing window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.0.period
    }

    pub(super) fn rule(&self) -> Rule {
        self.0.rule(Kind::SlidingLog, micros(self.0.period), 0)
    }
}
