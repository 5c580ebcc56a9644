//! Arguments of commands and scripts.

use bytes::Bytes;
use std::time::Duration;

/// One argument: bytes as they are, or an integer in decimal.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Bytes(Bytes),
    Int(i64),
}

/// The arguments of one call, in order.
///
/// ```
/// use redis_patterns_core::Args;
/// use std::time::Duration;
///
/// let args = Args::new().bytes("token").int(7).millis(Duration::from_micros(1_500));
/// assert_eq!(args.len(), 3);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Args(Vec<Arg>);

impl Args {
    /// No arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(mut self, value: impl AsRef<[u8]>) -> Self {
        self.0.push(Arg::Bytes(Bytes::copy_from_slice(value.as_ref())));
        self
    }

    /// Adds bytes without copying them.
    #[must_use]
    pub fn shared(mut self, value: Bytes) -> Self {
        self.0.push(Arg::Bytes(value));
        self
    }

    /// Adds a word of the command itself, such as `NX`.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.0.push(Arg::Bytes(Bytes::from_static(word.as_bytes())));
        self
    }

    /// Adds an integer.
    #[must_use]
    pub fn int(mut self, value: i64) -> Self {
        self.0.push(Arg::Int(value));
        self
    }

    /// Adds a duration in whole milliseconds, rounded up, at least 1: a server takes 0 for an error.
    #[must_use]
    pub fn millis(self, value: Duration) -> Self {
        self.int(millis(value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arg> {
        self.0.iter()
    }
}

/// A duration in whole milliseconds, rounded up, from 1 to 2^53 (285,000 years): past that a
/// script would lose digits.
#[must_use]
pub fn millis(value: Duration) -> i64 {
    const LARGEST: u128 = 1 << 53;
    let rounded_up = value.as_nanos().div_ceil(1_000_000).clamp(1, LARGEST);
    i64::try_from(rounded_up).unwrap_or(i64::MAX)
}
