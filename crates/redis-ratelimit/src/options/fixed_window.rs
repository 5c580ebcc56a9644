//! The basic pattern: one count, one expiry.

use super::Common;
use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// At most `limit` units in a window of `period`, counted from the first request.
///
/// The cheapest policy: one number per subject.
///
/// # Worst case: twice the limit across a boundary
///
/// `limit` units at the end of one window and `limit` at the start of the next are both admitted,
/// so a trailing window of length `period` can hold up to `2 * limit`, never more.
///
/// ```
/// use redis_ratelimit::FixedWindow;
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let per_minute = FixedWindow::new("login", NonZeroU64::new(5).unwrap(), Duration::from_secs(60)).unwrap();
/// assert_eq!(per_minute.limit().get(), 5);
/// assert!(FixedWindow::new("login", NonZeroU64::MIN, Duration::ZERO).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedWindow(pub(super) Common);

impl FixedWindow {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys: two limits of different
    /// names count apart.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a limit above 2^53, a
    /// period below a millisecond or above 2^52 microseconds (142 years).
    pub fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        Common::new(name, limit, period).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The most units in one window.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.0.limit
    }

    /// The length of a window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.0.period
    }
}
