//! Every key of this crate.

use crate::options::Kind;
use redis_patterns_core::{Key, Namespace, Tag};

/// What one limit holds against a subject. All keys of a subject share a slot.
#[derive(Clone, Debug)]
pub(crate) struct LimitKeys {
    /// `ns:rl:{subject}:name`, or `ns:rl-bucket:..` and so on by the kind, since each stores another
    /// type.
    pub(crate) state: Key,
    /// `ns:rl-block:{subject}:name`: there while the subject is blocked, by every kind of this name.
    pub(crate) block: Key,
    /// `ns:rl-holds:{subject}:name`, or `ns:rl-bucket-holds:..` and so on: reservations that are not settled
    /// yet. By the kind too, since only it can give them back.
    pub(crate) holds: Key,
}

pub(crate) fn limit(namespace: &Namespace, subject: &Tag, kind: Kind, name: &str) -> LimitKeys {
    let (state, holds) = match kind {
        Kind::FixedWindow => ("rl", "rl-holds"),
        Kind::CalendarWindow => ("rl-calendar", "rl-calendar-holds"),
        Kind::TokenBucket => ("rl-bucket", "rl-bucket-holds"),
        Kind::SlidingLog => ("rl-log", "rl-log-holds"),
        Kind::SlidingWindow => ("rl-window", "rl-window-holds"),
        Kind::ApproximateWindow => ("rl-approximate", "rl-approximate-holds"),
        Kind::Slots => ("rl-slots", "rl-slots-holds"),
    };
    let of = |pattern| namespace.part(pattern, subject, name);
    LimitKeys { state: of(state), block: of("rl-block"), holds: of(holds) }
}
