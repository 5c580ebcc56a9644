//! Random tokens from the operating system.

use crate::error::{Error, ErrorKind, Executed};
use std::fmt;

/// A random token of 128 bits that names one holder or one request; hexadecimal on the wire.
///
/// Its `Debug` shows nothing of it: who knows a token can act as its holder.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// A new token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the operating system has no randomness to give.
    pub fn random() -> Result<Self, Error> {
        Ok(Self(hex(&random_bytes::<16>()?)))
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// `N` random bytes from the operating system.
///
/// # Errors
///
/// [`ErrorKind::Config`] if the operating system has no randomness to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|cause| {
        Error::new(ErrorKind::Config, Executed::No, "random", "the operating system gave no random bytes")
            .with_source(cause)
    })?;
    Ok(bytes)
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_byte_is_two_lower_case_digits() {
        assert_eq!(super::hex(&[0x00, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
