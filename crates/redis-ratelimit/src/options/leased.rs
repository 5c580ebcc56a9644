//! Policies whose units are spent a while after they were charged.

use super::{ApproximateWindow, Policy, SlidingLog, SlidingWindow, TokenBucket};
use crate::error::Error;
use std::time::Duration;

impl Policy {
    /// The policy that charges must keep to, so that what is spent up to `hold` later keeps to this
    /// one.
    ///
    /// What is spent in a window of W was charged in one of W + `hold`. So a trailing window is made
    /// longer by `hold`, and a burst smaller by what refills in it. A window that ends for all at once
    /// stays: its units are spent before its [end](Policy::ends_with_window).
    pub(crate) fn spent_within(&self, hold: Duration) -> Result<Self, Error> {
        let common = self.common();
        let (name, limit, period) = (&common.name, common.limit, common.period.saturating_add(hold));
        Ok(match self {
            Self::FixedWindow(window) => Self::FixedWindow(window.clone()),
            Self::TokenBucket(bucket) => Self::TokenBucket(smaller(bucket, hold)?),
            Self::SlidingLog(_) => Self::SlidingLog(SlidingLog::new(name, limit, period)?),
            Self::SlidingWindow(window) => {
                Self::SlidingWindow(SlidingWindow::new(name, limit, period)?.buckets(window.buckets)?)
            }
            Self::ApproximateWindow(_) => {
                Self::ApproximateWindow(ApproximateWindow::new(name, limit, period)?)
            }
        })
    }

    /// Whether all units come back at one moment, which is when none of them may be spent any more.
    pub(crate) fn ends_with_window(&self) -> bool {
        matches!(self, Self::FixedWindow(_))
    }
}

fn smaller(bucket: &TokenBucket, hold: Duration) -> Result<TokenBucket, Error> {
    let refilled = (hold.as_nanos() * u128::from(bucket.rate().get())).div_ceil(bucket.period().as_nanos());
    let burst = u128::from(bucket.capacity().get()).saturating_sub(refilled);
    let burst = u64::try_from(burst).ok().and_then(std::num::NonZeroU64::new);
    let too_small = "a leased bucket holds more than what refills while a lease is held";
    bucket.clone().burst(burst.ok_or(Error::Policy(too_small))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    #[test]
    fn a_burst_is_smaller_by_what_refills_and_never_nothing() {
        let bucket = TokenBucket::new("t", NonZeroU64::new(10).unwrap(), Duration::from_secs(1)).unwrap();
        let leased =
            |millis| smaller(&bucket, Duration::from_millis(millis)).map(|bucket| bucket.capacity().get());
        assert_eq!((leased(100).unwrap(), leased(101).unwrap(), leased(900).unwrap()), (9, 8, 1));
        assert!(leased(1_000).is_err());
    }
}
