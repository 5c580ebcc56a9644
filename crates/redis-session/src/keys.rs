//! Every key of this crate. Only hashes of secrets reach Redis, so who reads a dump of it
//! can log in as nobody.

use crate::id::{OneTimeToken, SUBJECT, SessionId};
use crate::options::Purpose;
use crate::scripts::one_time::CodeKeys;
use redis_patterns_core::{Digest, FieldHasher, Key, Namespace, Tag, hex};

/// `ns:sess:{place}:hash`: one session. Its place stays when its id changes, so that both keys of a
/// rotation share a slot.
pub(crate) fn session(namespace: &Namespace, id: &SessionId) -> Key {
    let hash = FieldHasher::new("redis-session/session").field(id.secret()).finish();
    namespace.part("sess", &Tag::of(hex(id.place())), &hash.to_hex())
}

/// `ns:otk:{place}`: the token of one subject for one purpose.
pub(crate) fn token(namespace: &Namespace, token: &OneTimeToken) -> Key {
    namespace.key("otk", &Tag::of(hex(token.place())))
}

/// The place of a subject's token.
pub(crate) fn token_place(purpose: Purpose, subject: &[u8]) -> [u8; SUBJECT] {
    let hash = FieldHasher::new("redis-session/subject").field(purpose.name()).field(subject).finish();
    let mut place = [0; SUBJECT];
    place.copy_from_slice(&hash.as_bytes()[..SUBJECT]);
    place
}

/// What Redis holds of a token. The purpose is part of it: brought for another purpose, a token is
/// unknown, and stays for its own.
pub(crate) fn token_hash(purpose: Purpose, token: &OneTimeToken) -> Digest {
    FieldHasher::new("redis-session/token").field(purpose.name()).field(token.secret()).finish()
}

/// `ns:otc:{place}` and `ns:otc:{place}:failures`: the code of one identity for one purpose, and
/// its wrong guesses. Their place is keyed with the pepper.
pub(crate) fn code(namespace: &Namespace, place: &[u8; SUBJECT]) -> CodeKeys {
    let tag = Tag::of(hex(place));
    CodeKeys { place: namespace.key("otc", &tag), failures: namespace.part("otc", &tag, "failures") }
}

/// `ns:tower:{hash}`: a session of tower-sessions.
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
pub(crate) fn tower_session(namespace: &Namespace, id: i128) -> Key {
    let hash = FieldHasher::new("redis-session/tower").field(id.to_le_bytes()).finish();
    namespace.key("tower", &Tag::of(hash.to_hex()))
}
