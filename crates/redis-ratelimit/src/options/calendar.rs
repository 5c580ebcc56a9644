//! Windows that everybody reads off the same clock.

use std::time::Duration;

/// A period of the calendar in UTC, by the server's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Calendar {
    /// From second 0 to second 0.
    Minute,
    /// From minute 0 to minute 0.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
}

impl Calendar {
    /// How long it is. Unix time has no leap seconds, so every day is equally long.
    #[must_use]
    pub const fn period(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3_600),
            Self::Day => Duration::from_secs(86_400),
        }
    }
}
