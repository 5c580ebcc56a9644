//! The basic pattern: one count, one expiry.

use super::{Calendar, Common, Kind, Rule, micros, whole_millis};
use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// At most `limit` units in each window of `period`.
///
/// A window opens with a subject's first request, or, by [`FixedWindow::calendar`], stands between two
/// minutes, hours or days of the clock. The cheapest policy: one number per subject.
///
/// # Worst case: twice the limit across a boundary
///
/// `limit` units at the end of one window and `limit` at the start of the next are both admitted,
/// so a trailing window of length `period` can hold up to `2 * limit`, never more.
///
/// ```
/// use redis_ratelimit::{Calendar, FixedWindow};
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let per_minute = FixedWindow::new("login", NonZeroU64::new(5).unwrap(), Duration::from_secs(60)).unwrap();
/// assert_eq!(per_minute.limit().get(), 5);
/// assert!(FixedWindow::new("login", NonZeroU64::MIN, Duration::ZERO).is_err());
///
/// let quota = FixedWindow::calendar("mails", NonZeroU64::new(1_000).unwrap(), Calendar::Day).unwrap();
/// assert_eq!(quota.period(), Duration::from_secs(86_400));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    pub(super) common: Common,
    calendar: Option<Calendar>,
}

impl FixedWindow {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys: two limits of different
    /// names count apart. A window opens with the first request and lasts `period`.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a limit above 2^53, a
    /// period below a millisecond or above 2^52 microseconds (142 years).
    pub fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        Ok(Self { common: Common::new(name, limit, period)?, calendar: None })
    }

    /// A limit called `name` for each minute, hour or day in UTC, by the server's time.
    ///
    /// # All at once
    ///
    /// Every subject's window ends at the same moment, and many come back then. Windows of
    /// [`FixedWindow::new`] end apart.
    ///
    /// # Errors
    ///
    /// As [`FixedWindow::new`].
    pub fn calendar(name: &str, limit: NonZeroU64, calendar: Calendar) -> Result<Self, Error> {
        Ok(Self { common: Common::new(name, limit, calendar.period())?, calendar: Some(calendar) })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.common.name
    }

    /// The most units in one window.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.common.limit
    }

    /// The length of a window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.common.period
    }

    pub(super) fn rule(&self) -> Rule {
        match self.calendar {
            None => self.common.rule(Kind::FixedWindow, whole_millis(self.common.period), 0),
            // One bucket that does not count after its end.
            Some(calendar) => self.common.rule(Kind::CalendarWindow, micros(calendar.period()), 0),
        }
    }
}
