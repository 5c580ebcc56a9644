//! Every key of this crate. Only SHA-256 hashes of secrets reach Redis, so who reads a dump of it
//! can log in as nobody.

use crate::id::{OneTimeToken, SessionId};
use crate::options::Purpose;
use redis_patterns_core::{FieldHasher, Key, Namespace, Tag};

/// `ns:sess:{hash}`: one session.
pub(crate) fn session(namespace: &Namespace, id: &SessionId) -> Key {
    let hash = FieldHasher::new("redis-session/session").field(id.as_bytes()).finish();
    namespace.key("sess", &Tag::of(hash.to_hex()))
}

/// `ns:otk:{hash}`: one token. The purpose is part of the hash: brought for another purpose, a
/// token is unknown, and stays for its own.
pub(crate) fn token(namespace: &Namespace, purpose: Purpose, token: &OneTimeToken) -> Key {
    let hash = FieldHasher::new("redis-session/token").field(purpose.name()).field(token.as_bytes()).finish();
    namespace.key("otk", &Tag::of(hash.to_hex()))
}
