//! The number that lets a downstream system tell a late holder from the present one.

use std::fmt;
use std::num::NonZeroU64;

/// A Lua number keeps 53 bits, so a fence stays below.
const LARGEST: u64 = (1 << 53) - 1;

/// The number of one grant of a lock: higher than every earlier grant of the same name.
///
/// The protected system keeps the highest it has seen and refuses a write with a lower one; equal
/// ones are the same holder's next write. It is one more than the last fence, or the server's time
/// in microseconds if that is higher, so it keeps rising if Redis loses its data. At most 2^53 - 1,
/// which time reaches in the year 2255, so it fits an `i64` column and a JSON number.
///
/// # Only for the same name
///
/// Fences of different names say nothing about each other.
///
/// ```
/// use redis_lock::FencingToken;
///
/// let seen = FencingToken::new(41).unwrap();
/// let mine: FencingToken = "42".parse::<u64>().ok().and_then(FencingToken::new).unwrap();
/// assert!(mine > seen);
/// assert_eq!(i64::from(mine), 42);
/// assert_eq!(FencingToken::new(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(NonZeroU64);

impl FencingToken {
    /// A fence received from elsewhere, such as a request's header: 1 to 2^53 - 1.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).filter(|number| number.get() <= LARGEST).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl From<FencingToken> for u64 {
    fn from(fence: FencingToken) -> Self {
        fence.get()
    }
}

impl From<FencingToken> for i64 {
    /// The number for a database column; it always fits.
    fn from(fence: FencingToken) -> Self {
        fence.get().cast_signed()
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
