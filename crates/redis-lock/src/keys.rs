//! Every key of this crate.

use redis_patterns_core::{Key, Namespace, Tag};

const PATTERN: &str = "lock";

/// The keys of one lock; one slot.
#[derive(Clone, Debug)]
pub(crate) struct LockKeys {
    /// `ns:lock:{name}`: the holder's token and fence, with the lease as its TTL.
    pub(crate) lock: Key,
    /// `ns:lock:{name}:f`: the last fence issued.
    pub(crate) fence: Key,
}

impl LockKeys {
    pub(crate) fn of(namespace: &Namespace, name: &[u8]) -> Self {
        let tag = Tag::of(name);
        Self { lock: namespace.key(PATTERN, &tag), fence: namespace.part(PATTERN, &tag, "f") }
    }
}
