//! Which state of a session somebody has seen.

use redis_patterns_core::{Error, hex, random_bytes};
use std::fmt;

const DIGITS: usize = 16;

/// The state of a session at one moment: another after each update and rotation.
///
/// [`Sessions::update_if`](crate::Sessions::update_if) compares it. It is random and says nothing of
/// order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; DIGITS]);

impl Version {
    pub(crate) fn random() -> Result<Self, Error> {
        let text = hex(&random_bytes::<{ DIGITS / 2 }>()?);
        let mut digits = [b'0'; DIGITS];
        digits.copy_from_slice(text.as_bytes());
        Ok(Self(digits))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: [u8; DIGITS] = text.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(Self(digits))
    }

    pub(crate) fn as_str(&self) -> &str {
        // Hexadecimal digits by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.as_str())
    }
}
