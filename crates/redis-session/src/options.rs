//! How long sessions live, and what tokens are for.

use crate::error::Error;
use crate::recorder::{Recorder, SessionRecorder};
#[cfg(feature = "encrypt")]
use redis_patterns_core::Keyring;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

/// 34 years: a deadline then still has the 13 digits that scripts give it.
const LARGEST_MS: u128 = 1 << 40;

/// Settings of a [`Sessions`](crate::Sessions) store.
///
/// # When the type of the value changes
///
/// Sessions written before must still be read: a new field without `#[serde(default)]` makes each load
/// of an older session an error, up to its [absolute](Self::absolute) time.
///
/// ```
/// use redis_session::Options;
/// use std::time::Duration;
///
/// assert_eq!(Options::new().idle(Duration::from_secs(300)).idle_timeout(), Duration::from_secs(300));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    idle: Duration,
    absolute: Duration,
    touch_percent: u8,
    max_bytes: usize,
    limit: Option<(NonZeroU32, WhenFull)>,
    recorder: Recorder,
    #[cfg(feature = "encrypt")]
    keyring: Option<Keyring>,
    #[cfg(feature = "encrypt")]
    reads_plain: bool,
}

/// What becomes of a log-in when the user has as many sessions as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// The session that would end first makes room: the one that was not used for longest, or is
    /// next to its deadline.
    EndOldest,
}

impl Options {
    /// The defaults: a session ends 30 min after it was last loaded, and 12 h after it began.
    #[must_use]
    pub const fn new() -> Self {
        let (idle, absolute) = (Duration::from_secs(30 * 60), Duration::from_secs(12 * 3_600));
        Self {
            idle,
            absolute,
            touch_percent: 10,
            max_bytes: 64 * 1_024,
            limit: None,
            recorder: Recorder(None),
            #[cfg(feature = "encrypt")]
            keyring: None,
            #[cfg(feature = "encrypt")]
            reads_plain: false,
        }
    }

    /// How long after its last use a session ends; 30 min unless set, the upper end of what OWASP
    /// advises for applications of low risk (2 to 5 min for high risk).
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How long after it began a session ends, however much it is used; 12 h unless set, what NIST
    /// SP 800-63B (revision 3) allows at AAL2. Neither a load nor an update nor a rotation moves
    /// this deadline.
    #[must_use]
    pub const fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// Which share of the idle time, in percent (0 to 100), must have passed before a load starts
    /// it anew; 10 unless set, since each time is a write that is replicated and logged. A session
    /// may so end this share earlier than its idle time after its last load; 0 touches at each.
    #[must_use]
    pub const fn touch_after_percent(mut self, percent: u8) -> Self {
        self.touch_percent = percent;
        self
    }

    /// How many bytes the encoded value of a session may have; 64 KiB unless set, since every
    /// request of a user reads all of it. A larger one is [`Error::TooLarge`].
    #[must_use]
    pub const fn max_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.max_bytes = bytes.get();
        self
    }

    /// How many sessions one user may have at a time; any number unless set. ASVS 5.0 (7.1.2) asks
    /// for a documented limit. The session that a log-in [replaces](crate::Login::replaces) is not
    /// counted: until it is ended there may be one more.
    #[must_use]
    pub const fn max_sessions(mut self, limit: NonZeroU32, when_full: WhenFull) -> Self {
        self.limit = Some((limit, when_full));
        self
    }

    /// Who is told what happens to sessions, such as a database; nobody unless set.
    #[must_use]
    pub fn recorder(mut self, recorder: Arc<dyn SessionRecorder>) -> Self {
        self.recorder = Recorder(Some(recorder));
        self
    }

    pub(crate) const fn told(&self) -> &Recorder {
        &self.recorder
    }

    /// Encrypts what sessions hold and the names of their devices, each value bound to its session;
    /// nothing is encrypted unless set. Whoever can write to Redis can then invent no session. Times
    /// and hashes stay readable, and one-time tokens and codes are not encrypted by this.
    ///
    /// # Readers first
    ///
    /// A process without this key, and one that meets a session from before, answers an error: give
    /// every process the keyring with [`reads_plain_too`](Self::reads_plain_too) first.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypted(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Reads sessions that are not encrypted as well, for as long as there are some from before:
    /// until the deadline of the last.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub const fn reads_plain_too(mut self) -> Self {
        self.reads_plain = true;
        self
    }

    #[cfg(feature = "encrypt")]
    pub(crate) const fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_ref()
    }

    #[cfg(feature = "encrypt")]
    pub(crate) const fn reads_plain(&self) -> bool {
        self.reads_plain
    }

    pub(crate) const fn largest(&self) -> usize {
        self.max_bytes
    }

    pub(crate) const fn limit(&self) -> Option<(NonZeroU32, WhenFull)> {
        self.limit
    }

    /// How long after it began a session ends.
    #[must_use]
    pub const fn absolute_timeout(&self) -> Duration {
        self.absolute
    }

    pub(crate) const fn touch_percent(&self) -> u8 {
        self.touch_percent
    }

    /// How long after its last use a session ends.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.touch_percent > 100 {
            return Err(Error::Options("the share of the idle time is 0 to 100 percent"));
        }
        check_ttl(self.absolute, "the absolute time of a session is 1 to 2^40 milliseconds")?;
        check_ttl(self.idle, "the idle time of a session is 1 to 2^40 milliseconds")
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

pub(crate) fn check_cool_down(cool_down: Duration, ttl: Duration) -> Result<(), Error> {
    if cool_down > ttl {
        return Err(Error::Options("a cool-down is no longer than the life of what it follows"));
    }
    Ok(())
}

/// What a one-time token or a code is good for, such as `password-reset`. One of
/// another purpose is unknown.
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
