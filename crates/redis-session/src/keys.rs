//! Every key of this crate. Only SHA-256 hashes of secrets reach Redis, so who reads a dump of it
//! can log in as nobody.

use crate::id::{OneTimeToken, Place, SessionId, SessionRef};
use crate::options::Purpose;
use redis_patterns_core::{FieldHasher, Key, Namespace, Tag, hex};

/// The keys of one session. Its place is the tag of both, so that they share a slot.
#[derive(Clone)]
pub(crate) struct SessionKeys {
    /// `ns:sess:{place}:hash`: the session.
    pub(crate) session: Key,
    /// `ns:sess:{place}:index`: the sessions of the same user, by when they end.
    pub(crate) index: Key,
    /// The session's name in the index: the hash.
    pub(crate) member: String,
}

impl SessionKeys {
    pub(crate) fn of(namespace: &Namespace, id: &SessionId) -> Self {
        Self::in_place(namespace, id.place(), id.reference())
    }

    pub(crate) fn in_place(namespace: &Namespace, place: Place, which: SessionRef) -> Self {
        let (tag, member) = (tag(place), which.to_string());
        let session = namespace.part("sess", &tag, &member);
        Self { session, index: namespace.part("sess", &tag, "index"), member }
    }
}

/// `ns:sess:{place}:index`: a user's sessions.
pub(crate) fn index(namespace: &Namespace, user: &str) -> Key {
    namespace.part("sess", &tag(Place::of_user(user)), "index")
}

fn tag(place: Place) -> Tag {
    Tag::of(hex(place.as_bytes()))
}

/// `ns:otk:{hash}`: one token. The purpose is part of the hash: brought for another purpose, a
/// token is unknown, and stays for its own.
pub(crate) fn token(namespace: &Namespace, purpose: Purpose, token: &OneTimeToken) -> Key {
    let hash = FieldHasher::new("redis-session/token").field(purpose.name()).field(token.secret()).finish();
    namespace.key("otk", &Tag::of(hash.to_hex()))
}
