//! Every key of this crate. Only hashes of secrets reach Redis, so who reads a dump of it
//! can log in as nobody.

use crate::id::{OneTimeToken, Place, SUBJECT, SessionId, SessionRef};
use crate::options::Purpose;
use crate::scripts::one_time::CodeKeys;
use redis_patterns_core::{Digest, FieldHasher, Key, Namespace, Tag, hex};

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

/// `ns:plain:{place}:hash`: a session that is one value and nothing else.
pub(crate) fn plain(namespace: &Namespace, id: &SessionId) -> Key {
    namespace.part("plain", &tag(id.place()), &id.reference().to_string())
}

/// `ns:sess:{place}:index`: a user's sessions.
pub(crate) fn index(namespace: &Namespace, user: &str) -> Key {
    namespace.part("sess", &tag(Place::of_user(user)), "index")
}

fn tag(place: Place) -> Tag {
    Tag::of(hex(place.as_bytes()))
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
