//! Two counts and a guess.

use super::{Common, Kind, Rule, whole_millis};
use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// The product that a script divides: with both factors it stays exact.
const LARGEST_WEIGHT: u128 = 1 << 52;

/// About `limit` units in any trailing window of `period`: the window before counts by the part of it
/// that is still in reach, as if its units had been spread evenly.
///
/// It is what many services call a sliding window. It takes two numbers per subject, and a steady
/// flow is admitted at the limit. [`SlidingWindow`](crate::SlidingWindow) takes a few more and is
/// strict.
///
/// # Worst case: `2 * limit - 1`
///
/// Let the window before hold p units, and let a request come when the part e (0 to 1) of the current
/// window is over. It is admitted if the current window then holds at most
/// `limit - ceil(p * (1 - e))`. The trailing window of one period reaches into no other window, so it
/// holds at most `p + limit - ceil(p * (1 - e))`. Since p is at most `limit` and e is below 1, that is
/// at most `2 * limit - 1`: all of it at the end of one window, then one by one as the weight falls.
///
/// ```
/// use redis_ratelimit::ApproximateWindow;
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let limit = NonZeroU64::new(1_000).unwrap();
/// let calls = ApproximateWindow::new("calls", limit, Duration::from_secs(60)).unwrap();
/// assert_eq!(calls.limit(), limit);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApproximateWindow(pub(super) Common);

impl ApproximateWindow {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys. The period is rounded up to
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a period below a
    /// millisecond, and a limit whose product with the period in milliseconds is above 2^52.
    pub fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        let common = Common::new(name, limit, period)?;
        let width = u128::from(whole_millis(period).unsigned_abs());
        if width * u128::from(limit.get()) > LARGEST_WEIGHT {
            return Err(Error::Policy("a limit times its period in milliseconds is at most 2^52"));
        }
        Ok(Self(common))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The units that a steady flow may have in a period.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.0.limit
    }

    /// The length of a window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.0.period
    }

    pub(super) fn rule(&self) -> Rule {
        self.0.rule(Kind::ApproximateWindow, whole_millis(self.0.period), 0)
    }
}
