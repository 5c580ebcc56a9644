//! One unit of work.

use crate::envelope::Header;
use crate::trace::TraceParent;
use bytes::Bytes;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The unique name of a job: a UUID of version 7, whose first 48 bits are the milliseconds since
/// 1970 at which it was pushed, by the producer's clock.
///
/// It stays the same through retries and redeliveries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(crate) [u8; 16]);

impl JobId {
    /// A new id.
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// When the job was pushed, by the producer's clock: good for a report, not for a decision.
    #[must_use]
    pub fn pushed_at(&self) -> SystemTime {
        let millis = self.0[..6].iter().fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }
}

impl From<[u8; 16]> for JobId {
    /// The name whose bytes these are, as [`JobId::as_bytes`] gave them.
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&uuid::Uuid::from_bytes(self.0), f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// A job as it was handed out: its payload and its history. Cheap to clone.
///
/// Its `Debug` does not show the payload.
#[derive(Clone)]
pub struct Job {
    /// The bytes in the list, verbatim: an acknowledgement must name exactly these.
    element: Bytes,
    header: Header,
    payload: Bytes,
}

impl Job {
    /// The job in a list element, or `None` if the element is no envelope this version can read.
    pub(crate) fn open(element: Bytes) -> Option<Self> {
        let (header, payload) = Header::read(&element)?;
        Some(Self { element, header, payload })
    }

    /// The unique name.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.header.id
    }

    /// What the producer gave.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What the producer gave, without copying it.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.payload.clone()
    }

    /// The value that the producer gave, from JSON.
    ///
    /// # Errors
    ///
    /// A codec error if the payload is no JSON of a `T`.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, crate::Error> {
        use redis_patterns_core::{Codec as _, Json};
        Ok(Json.decode("queue/job", self.payload())?)
    }

    /// The value that the producer gave, from MessagePack.
    ///
    /// # Errors
    ///
    /// A codec error if the payload is no MessagePack of a `T`.
    #[cfg(feature = "msgpack")]
    #[cfg_attr(docsrs, doc(cfg(feature = "msgpack")))]
    pub fn msgpack<T: serde::de::DeserializeOwned>(&self) -> Result<T, crate::Error> {
        use redis_patterns_core::{Codec as _, MessagePack};
        Ok(MessagePack.decode("queue/job", self.payload())?)
    }

    /// Which hand-out of the job this is, from 1.
    ///
    /// It rises each time the job may have been started before: who writes it beside an effect and
    /// refuses lower numbers keeps a paused worker from overwriting its successor.
    #[must_use]
    pub fn delivery(&self) -> u32 {
        u32::from(self.header.deliveries) + 1
    }

    /// How often a handler has failed on it.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.header.failures.into()
    }

    /// How often a worker was lost while it held the job.
    #[must_use]
    pub fn losses(&self) -> u32 {
        self.header.losses.into()
    }

    /// Until when it may run, by the server's clock; `None` = for ever. A worker looks after it; who
    /// takes jobs with a [`Reader`](crate::Reader) looks for themselves.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        let since = Duration::from_millis(self.header.deadline_ms);
        (!since.is_zero()).then(|| SystemTime::UNIX_EPOCH + since)
    }

    /// The span that pushed it, for a link from the span that handles it.
    #[must_use]
    pub fn trace(&self) -> Option<TraceParent> {
        self.header.trace
    }

    /// Whether the payload is kept aside. [`Job::payload`] is empty then, except in a handler's job;
    /// [`Queue::payload`](crate::Queue::payload) fetches it.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.header.aside
    }

    pub(crate) fn with_payload(&self, payload: Bytes) -> Self {
        Self { payload, ..self.clone() }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn element(&self) -> &Bytes {
        &self.element
    }

    /// The element with another header.
    pub(crate) fn restamped(&self, change: impl FnOnce(&mut Header)) -> Bytes {
        let mut header = self.header;
        change(&mut header);
        header.seal(self.payload())
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id())
            .field("delivery", &self.delivery())
            .field("failures", &self.failures())
            .field("payload_bytes", &self.payload().len())
            .finish()
    }
}
