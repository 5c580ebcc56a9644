//! Every key of this crate. All keys of a queue share the tag `{queue}`.
//!
//! The keys of unique jobs, results and payloads have a TTL; the others have none: a job that waits, runs or died must not vanish by itself, and the two
//! sorted sets are what finds it. Each is empty, and so absent, when the queue is idle and clean.

use crate::job::JobId;
use redis_patterns_core::{FieldHasher, Key, Namespace, Tag, hex};

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
        self.hashed("unique", key)
    }

    fn hashed(&self, kind: &'static str, name: &[u8]) -> Key {
        let hash = FieldHasher::new("queue/unique").field(name).finish().to_hex();
        self.namespace.part(PATTERN, &self.tag, &format!("{kind}.{}", &hash[..32]))
    }

    /// `ns:q:{queue}:result.<id>`: hash of what came of a job, and the channel that tells of a change;
    /// its TTL is what the producer asked for.
    pub(crate) fn result(&self, id: JobId) -> Key {
        self.namespace.part(PATTERN, &self.tag, &format!("result.{}", hex(id.as_bytes())))
    }

    /// `ns:q:{queue}:cron.<hash>`: string, the last tick of a schedule in ms; its TTL outlasts the
    /// longest time between two.
    #[cfg(feature = "cron")]
    pub(crate) fn cron(&self, name: &[u8]) -> Key {
        self.hashed("cron", name)
    }

    /// `ns:q:{queue}:payload.<id>`: string, the payload of a job that is kept aside; its TTL counts from
    /// when it was last read.
    pub(crate) fn payload(&self, id: JobId) -> Key {
        self.namespace.part(PATTERN, &self.tag, &format!("payload.{}", hex(id.as_bytes())))
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
