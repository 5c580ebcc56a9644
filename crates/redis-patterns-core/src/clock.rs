//! Time: the server's in scripts, and a local one that runs through suspend for deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The time that scripts go by.
///
/// It is the server's: a script calls `TIME`. A model test may inject its own, which every script
/// takes as an argument in microseconds (0 means the server's) by this shape:
///
/// ```lua
/// local now_us = tonumber(ARGV[1])
/// if now_us == 0 then
///   local time = redis.call('TIME')
///   now_us = time[1] * 1000000 + time[2]
/// end
/// ```
///
/// # Not for production
///
/// An injected clock is the clock of one process: two processes that disagree break every promise
/// that rests on time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The server's `TIME`.
    #[default]
    Server,
    /// A time set by a test.
    Injected(TestClock),
}

impl Clock {
    /// The argument for scripts: microseconds, or 0 for the server's time.
    #[must_use]
    pub fn micros_arg(&self) -> i64 {
        match self {
            Self::Server => 0,
            Self::Injected(clock) => clock.0.load(Ordering::SeqCst),
        }
    }
}

/// A time that a test moves by hand; clones share it.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// A clock that stands at `micros` (at least 1) after the epoch.
    #[must_use]
    pub fn at_micros(micros: i64) -> Self {
        Self(Arc::new(AtomicI64::new(micros.max(1))))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

/// A moment on a monotonic clock that also runs while the machine is suspended.
///
/// [`std::time::Instant`] stands still in suspend on Linux, so a holder that resumes would believe
/// its lease fresh. Elsewhere than on Linux this is [`std::time::Instant`], whose behaviour in
/// suspend is the platform's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootInstant(platform::Moment);

impl BootInstant {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self(platform::now())
    }

    /// How long ago this was; zero if it lies ahead.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        platform::since(platform::now(), self.0)
    }

    /// How long until this moment plus `span`; zero once it has passed.
    #[must_use]
    pub fn remaining_of(self, span: Duration) -> Duration {
        span.saturating_sub(self.elapsed())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use rustix::time::{ClockId, clock_gettime};
    use std::time::Duration;

    pub(super) type Moment = Duration;

    pub(super) fn now() -> Moment {
        let time = clock_gettime(ClockId::Boottime);
        // The kernel never answers a negative time since boot.
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    pub(super) fn since(later: Moment, earlier: Moment) -> Duration {
        later.saturating_sub(earlier)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod platform {
    use std::time::{Duration, Instant};

    pub(super) type Moment = Instant;

    pub(super) fn now() -> Moment {
        Instant::now()
    }

    pub(super) fn since(later: Moment, earlier: Moment) -> Duration {
        later.saturating_duration_since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_shrinks_and_never_goes_below_zero() {
        let start = BootInstant::now();
        assert!(start.remaining_of(Duration::from_secs(60)) <= Duration::from_secs(60));
        assert_eq!(start.remaining_of(Duration::ZERO), Duration::ZERO);
        assert!(BootInstant::now() >= start);
    }
}
