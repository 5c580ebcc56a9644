//! Key names: `prefix:pattern:{tag}:part`, the same in every crate.

use crate::error::{Error, ErrorKind, Executed};
use crate::slot::slot_of_tag;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Ids whose encoded form is longer than this are stored as a hash, so that no id makes a long key.
const MAX_READABLE_TAG: usize = 64;
/// Bytes of SHA-256 kept for a long id: 128 bits, so that a collision takes 2^64 tries.
const HASHED_TAG_BYTES: usize = 16;

/// The first part of every key: it keeps applications that share a server apart.
///
/// One to 64 characters of `A-Z a-z 0-9 . _ -`.
///
/// ```
/// use redis_patterns_core::Namespace;
///
/// assert_eq!(Namespace::new("shop").unwrap().as_str(), "shop");
/// assert!(Namespace::new("{shop}").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// A namespace of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the name is empty, longer than 64, or has another character.
    pub fn new(name: &str) -> Result<Self, Error> {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if fits {
            Ok(Self(name.into()))
        } else {
            Err(Error::new(
                ErrorKind::Config,
                Executed::No,
                "namespace",
                "a namespace is 1 to 64 characters of A-Z a-z 0-9 . _ -",
            ))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of `pattern` for `tag`: `name:pattern:{tag}`.
    #[must_use]
    pub fn key(&self, pattern: &'static str, tag: &Tag) -> Key {
        self.build(pattern, tag, None)
    }

    /// The key of `pattern` for `tag` with a part: `name:pattern:{tag}:part`.
    #[must_use]
    pub fn part(&self, pattern: &'static str, tag: &Tag, part: &str) -> Key {
        self.build(pattern, tag, Some(part))
    }

    fn build(&self, pattern: &str, tag: &Tag, part: Option<&str>) -> Key {
        let mut text = format!("{}:{}:{{{}}}", self.0, pattern, tag.text);
        if let Some(part) = part {
            text.push(':');
            push_encoded(&mut text, part.as_bytes());
        }
        Key { bytes: Bytes::from(text), slot: tag.slot }
    }
}

impl Default for Namespace {
    /// `rp`, for redis-patterns.
    fn default() -> Self {
        Self("rp".into())
    }
}

/// The part of a key in braces, which alone decides the cluster slot.
///
/// It is derived from an id so that different ids have different tags and no id can break out:
/// every byte other than `A-Z a-z 0-9 . _ - @ =` is written as `%XX`, and an id that is empty or
/// whose encoded form exceeds 64 bytes becomes `~` and 32 hexadecimal digits of its SHA-256.
///
/// ```
/// use redis_patterns_core::Tag;
///
/// assert_eq!(Tag::of("order-42").as_str(), "order-42");
/// assert_eq!(Tag::of("}{").as_str(), "%7D%7B");
/// assert_ne!(Tag::of(""), Tag::of("~"));
/// assert_eq!(Tag::of([b'x'; 100_000]).as_str().len(), 33);
/// ```
///
/// # The slot is not secret
///
/// Whoever chooses ids can try many and keep those of one slot: any public hash allows that.
/// What no id can do is name a slot, or put the keys of one operation on two.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    text: Arc<str>,
    slot: u16,
}

impl Tag {
    /// The tag of one id.
    #[must_use]
    pub fn of(id: impl AsRef<[u8]>) -> Self {
        let id = id.as_ref();
        let mut text = String::with_capacity(id.len().min(MAX_READABLE_TAG) + 2);
        // A byte takes at least one character, so a longer id needs no look at its bytes.
        if id.len() <= MAX_READABLE_TAG {
            push_encoded(&mut text, id);
        }
        if text.is_empty() || text.len() > MAX_READABLE_TAG {
            return Self::from_text(&hashed(&[id]));
        }
        Self::from_text(&text)
    }

    /// The tag of several ids in order, always hashed: (`a`, `bc`) differs from (`ab`, `c`).
    #[must_use]
    pub fn of_all(ids: &[&[u8]]) -> Self {
        Self::from_text(&hashed(ids))
    }

    /// The text between the braces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The cluster slot of every key with this tag, 0 to 16383.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.slot
    }

    fn from_text(text: &str) -> Self {
        Self { text: text.into(), slot: slot_of_tag(text.as_bytes()) }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({} slot {})", self.text, self.slot)
    }
}

/// The full name of one key, with its cluster slot.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    bytes: Bytes,
    slot: u16,
}

impl Key {
    /// The name as bytes; it is ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Built from a String above, so this never falls back.
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// The cluster slot, 0 to 16383: what `CLUSTER KEYSLOT` answers.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.slot
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} slot {})", self.as_str(), self.slot)
    }
}

fn push_encoded(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"._-@=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn hashed(ids: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for id in ids {
        hasher.update((id.len() as u64).to_be_bytes());
        hasher.update(id);
    }
    let digest = hasher.finalize();
    let mut text = String::with_capacity(1 + 2 * HASHED_TAG_BYTES);
    text.push('~');
    for byte in &digest[..HASHED_TAG_BYTES] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
