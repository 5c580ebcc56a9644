//! Every key of this crate.

use redis_patterns_core::{Key, Namespace, Tag};

const PATTERN: &str = "lock";

/// `ns:fenced:{resource}`: a value with the highest fence seen.
pub(crate) fn register(namespace: &Namespace, resource: &str) -> Key {
    namespace.key("fenced", &Tag::of(resource))
}

/// The keys of one lock; one slot.
#[derive(Clone, Debug)]
pub(crate) struct LockKeys {
    /// `ns:lock:{name}`: the holder's token and fence, with the lease as its TTL.
    pub(crate) lock: Key,
    /// `ns:lock:{name}:f`: the last fence issued.
    pub(crate) fence: Key,
    /// `ns:lock:{name}:q`: who waits, by arrival.
    pub(crate) queue: Key,
    /// `ns:lock:{name}:a`: until when who waits counts as alive.
    pub(crate) alive: Key,
    /// `ns:lock:{name}:c`: the channel that tells a waiter of its grant.
    pub(crate) channel: Key,
}

impl LockKeys {
    pub(crate) fn of(namespace: &Namespace, name: &[u8]) -> Self {
        let tag = Tag::of(name);
        let part = |part| namespace.part(PATTERN, &tag, part);
        Self {
            lock: namespace.key(PATTERN, &tag),
            fence: part("f"),
            queue: part("q"),
            alive: part("a"),
            channel: part("c"),
        }
    }

    /// The order of the scripts that know the queue.
    pub(crate) fn all(&self) -> [&Key; 5] {
        [&self.lock, &self.fence, &self.queue, &self.alive, &self.channel]
    }
}
