//! What a request asked for, so that a key cannot be used again for something else.

use redis_patterns_core::FieldHasher;
use std::fmt;

const DOMAIN: &str = "redis-idem/fingerprint";

/// A SHA-256 of all that makes a request what it is.
///
/// # What to put in
///
/// Everything that changes the effect: for HTTP the method, path, query, content type and body.
/// Nothing that differs between two tries of the same request: dates, trace ids, signatures.
///
/// ```
/// use redis_idem::Fingerprint;
///
/// let fields = |path: &str, body: &str| Fingerprint::of_fields(&[b"POST", path.as_bytes(), body.as_bytes()]);
/// assert_eq!(fields("/pay", "{}"), fields("/pay", "{}"));
/// assert_ne!(fields("/pay", "x{}"), fields("/payx", "{}"), "fields do not run into each other");
/// assert_ne!(Fingerprint::of("{}"), Fingerprint::of_fields(&[b"{}", b""]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a request that is all in `body`.
    #[must_use]
    pub fn of(body: impl AsRef<[u8]>) -> Self {
        Self::of_fields(&[body.as_ref()])
    }

    /// The fingerprint of a request of several fields, in order.
    #[must_use]
    pub fn of_fields(fields: &[&[u8]]) -> Self {
        let hasher = fields.iter().fold(FieldHasher::new(DOMAIN), |hasher, field| hasher.field(field));
        Self(*hasher.finish().as_bytes())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    // A short body can be found again from its hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}
