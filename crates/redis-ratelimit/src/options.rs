//! What is limited: how many requests in how long.

use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// Past this a script would lose digits (a Lua number keeps 53 bits).
const LARGEST: u64 = 1 << 53;
/// Names longer than this make every key longer for no gain.
const LONGEST_NAME: usize = 64;

/// At most `limit` requests in a window of `period`, counted from the first request.
///
/// # Twice the limit across a boundary
///
/// `limit` requests at the end of one window and `limit` at the start of the next are both
/// admitted, so a trailing window of length `period` can hold up to `2 * limit`, never more.
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
pub struct FixedWindow {
    name: String,
    limit: NonZeroU64,
    period: Duration,
}

impl FixedWindow {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys: two limits of different
    /// names count apart.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a limit above 2^53, a
    /// period below a millisecond or above 2^53 milliseconds.
    pub fn new(name: &str, limit: NonZeroU64, period: Duration) -> Result<Self, Error> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(Error::Policy("the name of a limit has 1 to 64 bytes"));
        }
        if limit.get() > LARGEST {
            return Err(Error::Policy("a limit is at most 2^53 requests"));
        }
        if period < Duration::from_millis(1) || period.as_millis() > u128::from(LARGEST) {
            return Err(Error::Policy("a period is 1 to 2^53 milliseconds"));
        }
        Ok(Self { name: name.to_owned(), limit, period })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most requests in one window.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.limit
    }

    /// The length of a window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }
}
