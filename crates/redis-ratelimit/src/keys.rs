//! Every key of this crate.

use crate::options::Policy;
use redis_patterns_core::{Key, Namespace, Tag};

/// `ns:rl:{subject}:name`, or `ns:rl-bucket:..` and so on by the kind of policy, since each stores
/// another type: what one limit holds against a subject. All limits of a subject share a slot.
pub(crate) fn limit(namespace: &Namespace, subject: &[u8], policy: &Policy) -> Key {
    let pattern = match policy {
        Policy::FixedWindow(_) => "rl",
        Policy::TokenBucket(_) => "rl-bucket",
        Policy::SlidingLog(_) => "rl-log",
        Policy::SlidingWindow(_) => "rl-window",
    };
    namespace.part(pattern, &Tag::of(subject), policy.name())
}
