//! Every key of this crate. Only SHA-256 hashes of secrets reach Redis, so who reads a dump of it
//! can log in as nobody.

use crate::id::{OneTimeToken, SessionId};
use crate::options::Purpose;
use redis_patterns_core::{FieldHasher, Key, Namespace, Tag, hex};

/// `ns:sess:{place}:hash`: one session. Its place stays when its id changes, so that both keys of a
/// rotation share a slot.
pub(crate) fn session(namespace: &Namespace, id: &SessionId) -> Key {
    let hash = FieldHasher::new("redis-session/session").field(id.secret()).finish();
    namespace.part("sess", &Tag::of(hex(id.place())), &hash.to_hex())
}

/// `ns:otk:{hash}`: one token. The purpose is part of the hash: brought for another purpose, a
/// token is unknown, and stays for its own.
pub(crate) fn token(namespace: &Namespace, purpose: Purpose, token: &OneTimeToken) -> Key {
    let hash = FieldHasher::new("redis-session/token").field(purpose.name()).field(token.secret()).finish();
    namespace.key("otk", &Tag::of(hash.to_hex()))
}
