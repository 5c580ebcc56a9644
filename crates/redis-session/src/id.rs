//! Secrets that users carry, and what of them Redis sees.

use redis_patterns_core::{Error, FieldHasher, hex, random_bytes};
use std::fmt;

/// 256 random bits: ASVS 5.0 7.2.3 asks for 128.
const SECRET: usize = 32;
/// So many that no two users share a place.
const PLACE: usize = 16;
/// So many that no two subjects meet: who shares a place voids the other's token.
pub(crate) const SUBJECT: usize = 16;

/// What a session's cookie holds: 128 bits that name its place, and a secret of 256 random bits; 96
/// hexadecimal digits.
///
/// Who has it is logged in, so `Debug` shows nothing of it and Redis holds only its SHA-256. The
/// place is the same for all sessions of a user, a hash of their name, and random for
/// sessions of nobody: all keys that an operation needs share a slot, and are found by the id alone.
///
/// ```
/// use redis_session::SessionId;
///
/// let id = SessionId::parse(&"5f".repeat(48)).unwrap();
/// assert_eq!(id.expose(), "5f".repeat(48));
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// assert!(SessionId::parse("5f").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId([u8; PLACE + SECRET]);

/// What stands in a link or a mail: 128 bits that name the place of its purpose and subject, and a
/// secret of 256 random bits; 96 hexadecimal digits.
///
/// Who has it can do what it was issued for, once, so `Debug` shows nothing of it and Redis holds
/// only the SHA-256 of the secret.
///
/// ```
/// use redis_session::OneTimeToken;
///
/// let token = OneTimeToken::parse(&"07".repeat(48)).unwrap();
/// assert_eq!(token.expose(), "07".repeat(48));
/// assert_eq!(format!("{token:?}"), "OneTimeToken(..)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OneTimeToken([u8; SUBJECT + SECRET]);

/// Which session this is, to those who may know of it but not use it: the SHA-256 of its
/// id.
///
/// It names a session in a list of devices, in a form that ends one of them, and in a database. It
/// cannot be turned into an id.
///
/// ```
/// use redis_session::{SessionId, SessionRef};
///
/// let which = SessionId::parse(&"5f".repeat(48)).unwrap().reference();
/// assert_eq!(SessionRef::parse(&which.to_string()), Some(which));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionRef([u8; 32]);

/// Where a user's sessions are, or one of nobody.
#[derive(Clone, Copy)]
pub(crate) struct Place([u8; PLACE]);

impl Place {
    pub(crate) fn of_user(user: &str) -> Self {
        let hash = FieldHasher::new("redis-session/user").field(user).finish();
        let mut place = [0; PLACE];
        place.copy_from_slice(&hash.as_bytes()[..PLACE]);
        Self(place)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SessionId {
    pub(crate) fn random() -> Result<Self, Error> {
        Ok(Self(random_bytes()?))
    }

    /// Another secret in the same place.
    pub(crate) fn renewed(&self) -> Result<Self, Error> {
        Self::in_place(self.place())
    }

    pub(crate) fn in_place(place: Place) -> Result<Self, Error> {
        let mut id = Self::random()?;
        id.0[..PLACE].copy_from_slice(&place.0);
        Ok(id)
    }

    pub(crate) fn place(&self) -> Place {
        let mut place = [0; PLACE];
        place.copy_from_slice(&self.0[..PLACE]);
        Place(place)
    }

    /// Which session it is, without the means to use it.
    #[must_use]
    pub fn reference(&self) -> SessionRef {
        let hash = FieldHasher::new("redis-session/session").field(self.0).finish();
        SessionRef(*hash.as_bytes())
    }
}

impl SessionRef {
    /// What was shown as text: 64 digits `0-9 a-f`. `None` for everything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }
}

impl fmt::Display for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionRef({}..)", &hex(&self.0[..4]))
    }
}

impl OneTimeToken {
    /// Another secret in the place of a subject.
    pub(crate) fn random_at(place: &[u8; SUBJECT]) -> Result<Self, Error> {
        let secret: [u8; SECRET] = random_bytes()?;
        let mut token = [0; SUBJECT + SECRET];
        token[..SUBJECT].copy_from_slice(place);
        token[SUBJECT..].copy_from_slice(&secret);
        Ok(Self(token))
    }

    pub(crate) fn place(&self) -> &[u8] {
        &self.0[..SUBJECT]
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.0[SUBJECT..]
    }
}

/// One spelling only: lower case and the full length.
fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
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
            /// What a client sent, or `None` if it has not the form of one: the full number of
            /// digits `0-9 a-f`. Treat `None` like an unknown one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                parse(text).map(Self)
            }

            /// All of it as text, to be handed to its user and to nobody else.
            #[must_use]
            pub fn expose(&self) -> String {
                hex(&self.0)
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
        let good = "0f".repeat(PLACE + SECRET);
        assert!(SessionId::parse(&good).is_some());
        let bad = ["", "0f", &good[1..], &good.to_uppercase(), &format!("{good}0"), &format!("{good} ")];
        for text in bad {
            assert_eq!(SessionId::parse(text), None, "{text:?} was taken for an id");
        }
        for place in 0..2 * (PLACE + SECRET) {
            for byte in [b'g', b'-', b' ', b'F', 0] {
                let mut text = good.clone().into_bytes();
                text[place] = byte;
                assert_eq!(SessionId::parse(std::str::from_utf8(&text).unwrap()), None);
            }
        }
        assert_eq!(SessionId::parse(&"é".repeat(PLACE + SECRET)), None);
    }
}
