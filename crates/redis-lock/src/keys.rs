//! Every key of this crate.

use redis_patterns_core::{Key, Namespace, Tag};

/// `ns:fenced:{resource}`: a value with the highest fence seen.
pub(crate) fn register(namespace: &Namespace, resource: &str) -> Key {
    namespace.key("fenced", &Tag::of(resource))
}

/// What kind of lock a name is of; the same name may be of each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Mutex,
    Semaphore,
    ReadWrite,
}

impl Kind {
    fn pattern(self) -> &'static str {
        match self {
            Self::Mutex => "lock",
            Self::Semaphore => "semaphore",
            Self::ReadWrite => "rwlock",
        }
    }
}

/// The keys of one lock; one slot.
#[derive(Clone, Debug)]
pub(crate) struct LockKeys {
    /// `ns:lock:{name}`: the holder's token and fence, with the lease as its TTL. Of a semaphore or
    /// read-write lock: each holder's weight, fence and end, until the last of them.
    pub(crate) lock: Key,
    /// `..:f`: the last fence issued.
    pub(crate) fence: Key,
    /// `..:q`: who waits, by arrival.
    pub(crate) queue: Key,
    /// `..:a`: until when who waits counts as alive.
    pub(crate) alive: Key,
    /// `..:c`: the channel that tells a waiter of its turn.
    pub(crate) channel: Key,
    /// `..:r`: who was made to give the lock up.
    pub(crate) revoked: Key,
}

impl LockKeys {
    pub(crate) fn of(kind: Kind, namespace: &Namespace, name: &[u8]) -> Self {
        let (pattern, tag) = (kind.pattern(), Tag::of(name));
        let part = |part| namespace.part(pattern, &tag, part);
        Self {
            lock: namespace.key(pattern, &tag),
            fence: part("f"),
            queue: part("q"),
            alive: part("a"),
            channel: part("c"),
            revoked: part("r"),
        }
    }
}
