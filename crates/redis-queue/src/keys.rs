//! Every key of this crate. All keys of a queue share the tag `{queue}`.
//!
//! Only the keys of unique jobs have a TTL: a job that waits, runs or died must not vanish by itself, and the two
//! sorted sets are what finds it. Each is empty, and so absent, when the queue is idle and clean.

use redis_patterns_core::{FieldHasher, Key, Namespace, Tag};

const PATTERN: &str = "q";

/// The keys of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    namespace: Namespace,
    tag: Tag,
    /// `ns:q:{queue}:pending`: list of envelopes, pushed at the left, taken at the right.
    pub(crate) pending: Key,
    /// `ns:q:{queue}:leases`: sorted set of worker incarnations by the end of their lease (ms).
    pub(crate) leases: Key,
    /// `ns:q:{queue}:graves`: sorted set of incarnations whose lease was ended, by that time (ms).
    pub(crate) graves: Key,
    /// `ns:q:{queue}:beats`: sorted set of incarnations by when their next heartbeat is due (ms).
    pub(crate) beats: Key,
    /// `ns:q:{queue}:delayed`: sorted set of envelopes by when they are due (ms).
    pub(crate) delayed: Key,
    /// `ns:q:{queue}:wake`: channel that tells when the next delayed job is due.
    pub(crate) wake: Key,
    /// `ns:q:{queue}:dead`: stream of jobs that are given up, each with its reason.
    pub(crate) dead: Key,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace, queue: &[u8]) -> Self {
        let tag = Tag::of(queue);
        let part = |name| namespace.part(PATTERN, &tag, name);
        Self {
            pending: part("pending"),
            leases: part("leases"),
            graves: part("graves"),
            beats: part("beats"),
            delayed: part("delayed"),
            wake: part("wake"),
            dead: part("dead"),
            namespace: namespace.clone(),
            tag,
        }
    }

    /// `ns:q:{queue}:unique.<hash>`: id of the job that was pushed with a key; its TTL is the window
    /// in which no other is.
    pub(crate) fn unique(&self, key: &[u8]) -> Key {
        let hash = FieldHasher::new("queue/unique").field(key).finish().to_hex();
        self.namespace.part(PATTERN, &self.tag, &format!("unique.{}", &hash[..32]))
    }

    /// `ns:q:{queue}:alive.<incarnation>`: channel that a worker's process listens to, for no
    /// message: the server knows by it whether the process still has its connection.
    pub(crate) fn alive(&self, incarnation: &str) -> Key {
        self.namespace.part(PATTERN, &self.tag, &format!("alive.{incarnation}"))
    }

    /// `ns:q:{queue}:processing.<incarnation>`: list of what one worker holds, newest at the left.
    pub(crate) fn processing(&self, incarnation: &str) -> Key {
        self.namespace.part(PATTERN, &self.tag, &format!("processing.{incarnation}"))
    }
}
