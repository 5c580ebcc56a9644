//! Every key of this crate.

use crate::options::Kind;
use redis_patterns_core::{Key, Namespace, Tag};

/// What one limit holds against a subject. All keys of a subject share a slot.
#[derive(Clone, Debug)]
pub(crate) struct LimitKeys {
    /// `ns:rl:{subject}:name`, or `ns:rl-bucket:..` and so on by the kind, since each stores another
    /// type.
    pub(crate) state: Key,
    /// `ns:rl-block:{subject}:name`: there while the subject is blocked.
    pub(crate) block: Key,
    /// `ns:rl-holds:{subject}:name`: reservations that are not settled yet.
    pub(crate) holds: Key,
}

pub(crate) fn limit(namespace: &Namespace, subject: &Tag, kind: Kind, name: &str) -> LimitKeys {
    let pattern = match kind {
        Kind::FixedWindow => "rl",
        Kind::CalendarWindow => "rl-calendar",
        Kind::TokenBucket => "rl-bucket",
        Kind::SlidingLog => "rl-log",
        Kind::SlidingWindow => "rl-window",
        Kind::ApproximateWindow => "rl-approximate",
        Kind::Slots => "rl-slots",
    };
    let of = |pattern| namespace.part(pattern, subject, name);
    LimitKeys { state: of(pattern), block: of("rl-block"), holds: of("rl-holds") }
}
