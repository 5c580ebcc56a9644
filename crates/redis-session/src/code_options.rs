//! How long codes live, and how many guesses are allowed.

use crate::error::Error;
use crate::options::{check_cool_down, check_ttl};
use crate::scripts::one_time::{Allowed, Pace};
use std::num::NonZeroU32;
use std::time::Duration;

/// How long a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// One in a million; the 20 bits that ASVS asks for.
    Six,
    /// One in ten million.
    Seven,
    /// One in a hundred million.
    Eight,
}

impl Digits {
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::Six => 6,
            Self::Seven => 7,
            Self::Eight => 8,
        }
    }
}

/// Settings of [`Codes`](crate::Codes).
///
/// With the defaults, whoever keeps guessing at one account hits once in 137 years on average: 20
/// guesses a day at one of a million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeOptions {
    digits: Digits,
    ttl: Duration,
    cool_down: Duration,
    attempts: NonZeroU32,
    budget: NonZeroU32,
    window: Duration,
}

impl CodeOptions {
    /// The defaults: six digits, 10 min, 5 guesses, and 20 wrong ones a day.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            digits: Digits::Six,
            ttl: Duration::from_secs(10 * 60),
            cool_down: Duration::from_secs(60),
            attempts: NonZeroU32::new(5).unwrap(),
            budget: NonZeroU32::new(20).unwrap(),
            window: Duration::from_secs(24 * 3_600),
        }
    }

    /// How long a code is; six digits unless set, what users copy from a message without a slip.
    #[must_use]
    pub const fn digits(mut self, digits: Digits) -> Self {
        self.digits = digits;
        self
    }

    /// How long a code is good for; 10 min unless set, the most that ASVS 5.0 (6.5.5) allows.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long after a code the next one may follow, if it was not used meanwhile; 1 min unless
    /// set, what a user waits for a message before asking again.
    #[must_use]
    pub const fn cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down;
        self
    }

    /// How many guesses one code allows; 5 unless set, slips of the finger included.
    #[must_use]
    pub const fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How many wrong guesses, over all codes of an identity, lock it until `window` after the first
    /// of them; 20 in 24 h unless set (NIST SP 800-63B, 5.2.2, allows 100 in a row). A right guess
    /// forgets them.
    ///
    /// # Who locks an account
    ///
    /// Anybody who knows its name can: leave its owner another way in, and a way to mend it
    /// ([`unlock`](crate::Codes::unlock)).
    #[must_use]
    pub const fn failures(mut self, budget: NonZeroU32, window: Duration) -> Self {
        self.budget = budget;
        self.window = window;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_ttl(self.ttl, "the life of a code is 1 to 2^40 milliseconds")?;
        check_ttl(self.window, "the window of failures is 1 to 2^40 milliseconds")?;
        check_cool_down(self.cool_down, self.ttl)
    }

    pub(crate) const fn code_length(&self) -> usize {
        self.digits.count()
    }

    pub(crate) const fn pace(&self) -> Pace {
        Pace { ttl: self.ttl, cool_down: self.cool_down }
    }

    pub(crate) const fn allowed(&self) -> Allowed {
        Allowed { attempts: self.attempts.get(), budget: self.budget.get(), window: self.window }
    }
}

impl Default for CodeOptions {
    fn default() -> Self {
        Self::new()
    }
}
