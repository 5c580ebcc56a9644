//! Waiting times between tries.

use std::time::Duration;

/// Exponential backoff with full jitter: try `n` waits a uniformly random time from zero to
/// `min(longest, first * 2^n)`.
///
/// Full jitter spreads callers that failed together better than a fixed or a partly random wait
/// (source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
///
/// ```
/// use redis_patterns_core::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// assert_eq!(backoff.ceiling(0), Duration::from_millis(100));
/// assert_eq!(backoff.ceiling(3), Duration::from_millis(800));
/// assert_eq!(backoff.ceiling(60), Duration::from_secs(5));
/// assert!(backoff.delay(3) <= Duration::from_millis(800));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits of at most `first` after the first try, doubling up to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The longest possible wait after try `n`, counted from 0.
    #[must_use]
    pub fn ceiling(&self, n: u32) -> Duration {
        let factor = 2_u32.saturating_pow(n);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// A random wait after try `n`, counted from 0.
    #[must_use]
    pub fn delay(&self, n: u32) -> Duration {
        self.ceiling(n).mul_f64(fastrand::f64())
    }
}
