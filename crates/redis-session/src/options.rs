//! How long sessions live, and what tokens are for.

use crate::error::Error;
use std::time::Duration;

/// Past this a script would lose digits (a Lua number keeps 53 bits).
const LARGEST_MS: u128 = 1 << 53;

/// Settings of a [`Sessions`](crate::Sessions) store.
///
/// ```
/// use redis_session::Options;
/// use std::time::Duration;
///
/// assert_eq!(Options::new().idle(Duration::from_secs(300)).idle_timeout(), Duration::from_secs(300));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    idle: Duration,
}

impl Options {
    /// The defaults: a session ends 30 min after it was last loaded.
    #[must_use]
    pub const fn new() -> Self {
        Self { idle: Duration::from_secs(30 * 60) }
    }

    /// How long after its last use a session ends; 30 min unless set, the upper end of what OWASP
    /// advises for applications of low risk (2 to 5 min for high risk).
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How long after its last use a session ends.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_ttl(self.idle, "the idle time of a session is 1 to 2^53 milliseconds")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn check_ttl(ttl: Duration, otherwise: &'static str) -> Result<(), Error> {
    if ttl < Duration::from_millis(1) || ttl.as_millis() > LARGEST_MS {
        return Err(Error::Options(otherwise));
    }
    Ok(())
}

/// What a one-time token is good for, such as `password-reset`. A token of one purpose is unknown
/// to every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Purpose(&'static str);

impl Purpose {
    /// The purpose of this name. It goes into every key, so renaming it voids the tokens out there.
    ///
    /// ```
    /// const RESET: redis_session::Purpose = redis_session::Purpose::new("password-reset");
    /// assert_eq!(RESET.name(), "password-reset");
    /// ```
    ///
    /// # Panics
    ///
    /// If the name is empty; in a constant, when it is compiled.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty(), "a purpose has a name");
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}
