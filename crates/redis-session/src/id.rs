//! Secrets that users carry, and what of them Redis sees.

use redis_patterns_core::{Error, hex, random_bytes};
use std::fmt;

/// 256 random bits: ASVS 5.0 7.2.3 asks for 128.
const BYTES: usize = 32;

/// The secret in a session's cookie: 256 random bits, 64 hexadecimal digits.
///
/// Who has it is logged in, so `Debug` shows nothing of it and Redis holds only its SHA-256.
///
/// ```
/// use redis_session::SessionId;
///
/// let id = SessionId::parse(&"5f".repeat(32)).unwrap();
/// assert_eq!(id.expose(), "5f".repeat(32));
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// assert!(SessionId::parse("5f").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Secret);

/// The secret in a link or a mail: 256 random bits, 64 hexadecimal digits.
///
/// Who has it can do what it was issued for, once, so `Debug` shows nothing of it and Redis holds
/// only its SHA-256.
///
/// ```
/// use redis_session::OneTimeToken;
///
/// let token = OneTimeToken::parse(&"07".repeat(32)).unwrap();
/// assert_eq!(token.expose(), "07".repeat(32));
/// assert_eq!(format!("{token:?}"), "OneTimeToken(..)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OneTimeToken(Secret);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Secret([u8; BYTES]);

impl Secret {
    fn random() -> Result<Self, Error> {
        Ok(Self(random_bytes()?))
    }

    /// One spelling only: lower case and the full length.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * BYTES {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

macro_rules! secret {
    ($name:ident) => {
        impl $name {
            /// The secret that a client sent, or `None` if it has not the form of one: 64 digits
            /// of `0-9 a-f`. Treat `None` like an unknown one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Secret::parse(text).map(Self)
            }

            /// The secret as text, to be handed to its user and to nobody else.
            #[must_use]
            pub fn expose(&self) -> String {
                hex(&self.0.0)
            }

            pub(crate) fn random() -> Result<Self, Error> {
                Ok(Self(Secret::random()?))
            }

            pub(crate) fn as_bytes(&self) -> &[u8] {
                &self.0.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret!(SessionId);
secret!(OneTimeToken);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_the_way_through_a_cookie() {
        let id = SessionId::random().unwrap();
        assert_eq!(SessionId::parse(&id.expose()), Some(id));
    }

    #[test]
    fn what_is_no_secret_is_not_taken_for_one() {
        let good = "0f".repeat(BYTES);
        assert!(SessionId::parse(&good).is_some());
        let bad = ["", "0f", &good[1..], &good.to_uppercase(), &format!("{good}0"), &format!("{good} ")];
        for text in bad {
            assert_eq!(SessionId::parse(text), None, "{text:?} was taken for an id");
        }
        for place in 0..2 * BYTES {
            for byte in [b'g', b'-', b' ', b'F', 0] {
                let mut text = good.clone().into_bytes();
                text[place] = byte;
                assert_eq!(SessionId::parse(std::str::from_utf8(&text).unwrap()), None);
            }
        }
        assert_eq!(SessionId::parse(&"é".repeat(BYTES)), None);
    }
}
