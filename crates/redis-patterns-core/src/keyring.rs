//! Encryption of stored values (feature `encrypt`).

use crate::error::{Error, ErrorKind, Executed};
use crate::random::random_bytes;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The first byte of everything sealed; a later layout gets another.
const LAYOUT: u8 = 0xE1;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + 4 + NONCE_BYTES;
const TAG_BYTES: usize = 16;

/// Keys for values at rest: one that seals, and older ones that still open.
///
/// XChaCha20-Poly1305 with a random nonce of 24 bytes, long enough that it does not repeat. Layout:
/// byte 0 is `0xE1`, bytes 1 to 4 the id of the key (big endian), then the nonce, the ciphertext and
/// 16 bytes of tag: 45 bytes more than the value.
///
/// To change the key, give every reader the new one by [`Keyring::also_opens`] first, then make it
/// the one that seals; drop the old one when the last value sealed with it has expired.
///
/// # The trap
///
/// What is sealed is bound to its `context`, and opens under no other. Use the bytes of the Redis
/// key, so that whoever can write to Redis cannot put one record in the place of another; an old
/// value of the same key still opens, so a keyring is no protection against a replay.
///
/// ```
/// use redis_patterns_core::Keyring;
///
/// # fn main() -> Result<(), redis_patterns_core::Error> {
/// let old = Keyring::new(1, &[7; 32]);
/// let sealed = old.seal(b"session:42", b"secret")?;
/// let new = Keyring::new(2, &[8; 32]).also_opens(1, &[7; 32]);
/// assert_eq!(new.open("demo", b"session:42", &sealed)?, "secret");
/// assert!(new.open("demo", b"session:43", &sealed).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Keyring {
    seals_with: u32,
    ciphers: Arc<BTreeMap<u32, XChaCha20Poly1305>>,
}

impl Keyring {
    /// A keyring that seals and opens with `key`, 32 random bytes that are kept outside Redis.
    /// `key_id` is stored with each value in the clear.
    #[must_use]
    pub fn new(key_id: u32, key: &[u8; 32]) -> Self {
        let ciphers = Arc::new(BTreeMap::from([(key_id, XChaCha20Poly1305::new(key.into()))]));
        Self { seals_with: key_id, ciphers }
    }

    /// The same keyring that also opens what another key sealed. The key that seals stays as it is,
    /// also if `key_id` is its own.
    #[must_use]
    pub fn also_opens(mut self, key_id: u32, key: &[u8; 32]) -> Self {
        let cipher = XChaCha20Poly1305::new(key.into());
        Arc::make_mut(&mut self.ciphers).entry(key_id).or_insert(cipher);
        self
    }

    /// `plain`, encrypted and bound to `context`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the operating system has no randomness to give.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Bytes, Error> {
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain, aad: context };
        let encrypted =
            self.ciphers[&self.seals_with].encrypt(&XNonce::from(nonce), payload).map_err(|_| {
                Error::new(ErrorKind::Codec, Executed::No, "seal", "the value is too large to encrypt")
            })?;
        let head = [LAYOUT].into_iter().chain(self.seals_with.to_be_bytes()).chain(nonce);
        Ok(head.chain(encrypted).collect())
    }

    /// What was sealed under the same `context`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the bytes are nothing sealed, were sealed with a key that is not on the
    /// ring, under another context, or were changed.
    pub fn open(&self, operation: &'static str, context: &[u8], sealed: &[u8]) -> Result<Bytes, Error> {
        if sealed.len() < HEAD_BYTES + TAG_BYTES || sealed[0] != LAYOUT {
            return Err(Error::codec(operation, "the stored value is not encrypted, or in a newer layout"));
        }
        let (head, encrypted) = sealed.split_at(HEAD_BYTES);
        let cipher = key_id(head).and_then(|id| self.ciphers.get(&id)).ok_or_else(|| {
            Error::codec(operation, "the stored value was encrypted with a key that is not on the ring")
                .with_next("add the key by Keyring::also_opens until what it sealed has expired")
        })?;
        let refused =
            |_| Error::codec(operation, "the stored value was changed, or belongs to another record");
        let nonce: [u8; NONCE_BYTES] =
            head[5..].try_into().map_err(|_| Error::codec(operation, "the stored value has no nonce"))?;
        let payload = Payload { msg: encrypted, aad: context };
        cipher.decrypt(&XNonce::from(nonce), payload).map(Bytes::from).map_err(refused)
    }
}

fn key_id(head: &[u8]) -> Option<u32> {
    head[1..5].try_into().ok().map(u32::from_be_bytes)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("seals_with", &self.seals_with)
            .field("opens", &self.ciphers.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_sealed_twice_differs_and_costs_45_bytes() {
        let ring = Keyring::new(1, &[1; 32]);
        let (one, two) = (ring.seal(b"k", b"v").unwrap(), ring.seal(b"k", b"v").unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 1 + 45);
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_refused() {
        let ring = Keyring::new(1, &[1; 32]);
        let sealed = ring.seal(b"k", b"value").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(ring.open("test", b"k", &changed).is_err(), "byte {at}");
            assert!(ring.open("test", b"k", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(ring.open("test", b"k", &sealed).unwrap(), "value");
    }

    #[test]
    fn an_older_key_opens_and_never_seals() {
        let ring = Keyring::new(2, &[2; 32]).also_opens(1, &[1; 32]).also_opens(2, &[9; 32]);
        let sealed = ring.seal(b"k", b"v").unwrap();
        assert_eq!(Keyring::new(2, &[2; 32]).open("test", b"k", &sealed).unwrap(), "v");
        assert!(Keyring::new(1, &[1; 32]).open("test", b"k", &sealed).is_err());
    }

    #[test]
    fn debug_shows_ids_and_no_key() {
        let shown = format!("{:?}", Keyring::new(5, &[0xAB; 32]));
        assert!(
            shown.contains('5') && !shown.contains("171") && !shown.to_lowercase().contains("ab,"),
            "{shown}"
        );
    }
}
