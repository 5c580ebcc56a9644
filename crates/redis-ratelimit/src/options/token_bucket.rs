//! A steady rate and a burst above it.

use super::{Common, Kind, LARGEST_PARTS, Rule, int};
use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// A bucket that refills at a steady `rate` per `period` and holds at most `burst` units.
///
/// Its arithmetic is the generic cell rate algorithm: what is stored is the debt, in whole parts of
/// a unit, and it drains with the server's time. No floating point decides anything.
///
/// # Worst case: the burst and what refills
///
/// Any window of length W holds at most `burst + rate * W / period` units, rounded down. With the
/// burst equal to the rate, as it is unless set, a window of one `period` can so hold twice the
/// rate; for at most `limit` in any window use [`SlidingLog`](crate::SlidingLog) or
/// [`SlidingWindow`](crate::SlidingWindow).
///
/// # Rounding
///
/// A rate whose parts do not fit 2^52 together with the burst is rounded down, by less than one
/// millionth for a burst below four thousand million.
///
/// ```
/// use redis_ratelimit::TokenBucket;
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let ten_a_second = NonZeroU64::new(10).unwrap();
/// let calls = TokenBucket::new("calls", ten_a_second, Duration::from_secs(1)).unwrap();
/// let calls = calls.burst(NonZeroU64::new(20).unwrap()).unwrap();
/// assert_eq!((calls.rate().get(), calls.capacity().get()), (10, 20));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    pub(super) common: Common,
    burst: NonZeroU64,
    scale: Scale,
}

/// A unit in parts, and how many of them drain in a microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    parts: i64,
    drain: i64,
}

impl TokenBucket {
    /// `rate` units per `period`, called `name` (1 to 64 bytes), which is part of its keys. The
    /// burst is the rate.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a rate above 2^53, a
    /// period below a millisecond or above 2^52 microseconds (142 years), and a bucket that takes
    /// longer than that to fill.
    pub fn new(name: &str, rate: NonZeroU64, period: Duration) -> Result<Self, Error> {
        let common = Common::new(name, rate, period)?;
        let scale = Scale::new(&common, rate)?;
        Ok(Self { common, burst: rate, scale })
    }

    /// The same rate with another burst, at least 1.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] if the bucket would take longer than 2^52 microseconds to fill.
    pub fn burst(self, burst: NonZeroU64) -> Result<Self, Error> {
        let scale = Scale::new(&self.common, burst)?;
        Ok(Self { burst, scale, ..self })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.common.name
    }

    /// The units that refill in one period.
    #[must_use]
    pub fn rate(&self) -> NonZeroU64 {
        self.common.limit
    }

    /// The length of the period that the rate speaks of.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.common.period
    }

    /// The most units that the bucket holds, and so the highest cost.
    #[must_use]
    pub fn capacity(&self) -> NonZeroU64 {
        self.burst
    }

    pub(crate) fn fill_time(&self) -> Duration {
        let micros =
            i128::from(self.burst.get()) * i128::from(self.scale.parts) / i128::from(self.scale.drain);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(super) fn rule(&self) -> Rule {
        let (name, largest) = (self.common.name.clone(), self.burst.get());
        let numbers = [int(largest), self.scale.parts, self.scale.drain];
        Rule { name, kind: Kind::TokenBucket, largest, numbers }
    }
}

impl Scale {
    /// The exact fraction `period / rate` if it fits, else the nearest one that refills no faster.
    fn new(common: &Common, burst: NonZeroU64) -> Result<Self, Error> {
        let (period, rate) = (common.period_us(), u128::from(common.limit.get()));
        let burst = u128::from(burst.get());
        let divisor = greatest_common_divisor(period, rate);
        let (mut parts, mut drain) = (period / divisor, rate / divisor);
        if parts.saturating_mul(burst) > LARGEST_PARTS {
            drain = (LARGEST_PARTS / burst).saturating_sub(1) * rate / period;
            parts = (period * drain).div_ceil(rate);
        }
        if drain == 0 || parts == 0 {
            return Err(Error::Policy("a bucket fills within 2^52 microseconds and holds up to 2^52 units"));
        }
        let fits = |number: u128| i64::try_from(number).map_err(|_| Error::Policy("a rate is at most 2^53"));
        Ok(Self { parts: fits(parts)?, drain: fits(drain)? })
    }
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(rate: u64, period: Duration, burst: u64) -> Result<Scale, Error> {
        let bucket = TokenBucket::new("t", NonZeroU64::new(rate).unwrap(), period)?;
        Ok(bucket.burst(NonZeroU64::new(burst).unwrap())?.scale)
    }

    #[test]
    fn a_rate_that_fits_is_exact_also_above_one_in_a_microsecond() {
        assert_eq!(scale(3, Duration::from_secs(1), 3).unwrap(), Scale { parts: 1_000_000, drain: 3 });
        assert_eq!(scale(1_500_000, Duration::from_secs(1), 9).unwrap(), Scale { parts: 2, drain: 3 });
    }

    #[test]
    fn a_rate_that_does_not_fit_is_rounded_down_by_less_than_a_millionth() {
        let day = Duration::from_secs(86_400);
        for (rate, burst) in [(999_983, 999_983), (1_000_003, 4_000_000_000), (7, 100_000)] {
            let Scale { parts, drain } = scale(rate, day, burst).unwrap();
            let (parts, drain) = (parts as u128, drain as u128);
            assert!(parts * u128::from(burst) <= LARGEST_PARTS);
            // drain / parts <= rate / period, and nearly so.
            let (exact, rounded) = (parts * u128::from(rate), drain * day.as_micros());
            assert!(rounded <= exact && (exact - rounded) * 1_000_000 < exact, "{rate}, {burst}");
        }
    }

    #[test]
    fn a_bucket_that_never_fills_is_refused() {
        assert!(scale(1, Duration::from_secs(86_400 * 365), 1_000).is_err());
        assert!(scale(1 << 53, Duration::from_secs(1), 1 << 53).is_err());
    }
}
