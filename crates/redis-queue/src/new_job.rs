//! A job before it is pushed.

use crate::trace::TraceParent;
use bytes::Bytes;
use redis_patterns_core::CodecId;
use std::fmt;
use std::time::Duration;

/// A payload and what is to hold for it. Whatever is bytes already is a job without any of that:
/// `queue.push("text")`.
///
/// ```
/// use redis_queue::NewJob;
/// use std::time::Duration;
///
/// let job = NewJob::from("report 7").deadline(Duration::from_secs(60));
/// # let _ = job;
/// ```
///
/// Its `Debug` does not show the payload.
#[derive(Clone)]
#[must_use]
pub struct NewJob {
    pub(crate) payload: Bytes,
    pub(crate) codec: CodecId,
    pub(crate) deadline: Option<Duration>,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) keep_result: Option<Duration>,
}

impl NewJob {
    /// A job with these bytes, which are not copied.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self::with_codec(payload.into(), CodecId::Raw)
    }

    fn with_codec(payload: Bytes, codec: CodecId) -> Self {
        Self { payload, codec, deadline: None, trace: None, keep_result: None }
    }

    /// A job whose payload is a value, as JSON.
    ///
    /// # Errors
    ///
    /// A codec error if the value has no encoding.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, crate::Error> {
        use redis_patterns_core::{Codec as _, Json};
        Ok(Self::with_codec(Json.encode("queue/push", value)?, CodecId::Json))
    }

    /// A job whose payload is a value, as MessagePack with the names of fields.
    ///
    /// # Errors
    ///
    /// A codec error if the value has no encoding.
    #[cfg(feature = "msgpack")]
    #[cfg_attr(docsrs, doc(cfg(feature = "msgpack")))]
    pub fn msgpack<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, crate::Error> {
        use redis_patterns_core::{Codec as _, MessagePack};
        Ok(Self::with_codec(MessagePack.encode("queue/push", value)?, CodecId::MessagePack))
    }

    /// The job may run until `after` from the push, by the server's clock; for ever unless set.
    ///
    /// If no handler has started it by then, or one still runs, it goes to the dead letters; the
    /// handler is cancelled. A retry does not move the deadline, nor does a delay. It costs one more
    /// round trip every ten seconds, to ask for the server's time.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// The span that pushes the job, in place of what
    /// [`QueueOptions::trace_with`](crate::QueueOptions::trace_with) tells. 25 bytes.
    pub fn trace(mut self, parent: TraceParent) -> Self {
        self.trace = Some(parent);
        self
    }

    /// Whoever knows the id can ask what came of the job
    /// ([`Queue::result`](crate::Queue::result), [`Queue::wait`](crate::Queue::wait)) for this long
    /// after its handler last said something; nobody can unless set. From 1 s, in whole seconds.
    ///
    /// 4 bytes of the job, a key of its own once its handler says something, and one round trip more
    /// when it ends.
    pub fn keep_result(mut self, time: Duration) -> Self {
        self.keep_result = Some(time);
        self
    }
}

impl<P: AsRef<[u8]>> From<P> for NewJob {
    fn from(payload: P) -> Self {
        Self::new(Bytes::copy_from_slice(payload.as_ref()))
    }
}

impl fmt::Debug for NewJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("payload_bytes", &self.payload.len())
            .field("codec", &self.codec)
            .field("deadline", &self.deadline)
            .field("trace", &self.trace)
            .field("keep_result", &self.keep_result)
            .finish()
    }
}
