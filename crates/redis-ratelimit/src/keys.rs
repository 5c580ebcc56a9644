//! Every key of this crate.

use redis_patterns_core::{Key, Namespace, Tag};

const PATTERN: &str = "rl";

/// `ns:rl:{subject}:name`: the count of the open window. All limits of a subject share a slot.
pub(crate) fn window(namespace: &Namespace, subject: &[u8], name: &str) -> Key {
    namespace.part(PATTERN, &Tag::of(subject), name)
}
