//! Large payloads, kept beside the queue: the job then carries only its id.

use crate::error::Error;
use crate::job::{Job, JobId};
use crate::keys::Keys;
use crate::queue::Queue;
use crate::scripts;
use async_trait::async_trait;
use bytes::Bytes;
use redis_patterns_core::{Redis, until_answered};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a payload is kept by a worker that was not told.
const UNTOLD: Duration = Duration::from_secs(7 * 86_400);

/// A place for large payloads, such as an object store.
///
/// A payload is put before its job is pushed and deleted after the job is done, and a process may die
/// in between: give the place a rule that deletes what is older than any job.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a payload.
    ///
    /// # Errors
    ///
    /// The job is not pushed.
    async fn put(&self, id: JobId, payload: Bytes) -> Result<(), BlobError>;

    /// The payload; `None` if there is none (any more), which makes the job a dead letter.
    ///
    /// # Errors
    ///
    /// The job counts as failed, and is tried again.
    async fn get(&self, id: JobId) -> Result<Option<Bytes>, BlobError>;

    /// Deletes a payload, or does nothing if there is none.
    ///
    /// # Errors
    ///
    /// They are written to the log.
    async fn delete(&self, id: JobId) -> Result<(), BlobError>;
}

/// Any failure of a [`BlobStore`].
pub type BlobError = Box<dyn std::error::Error + Send + Sync>;

/// When and where payloads are kept beside the queue.
#[derive(Clone, Debug)]
pub(crate) struct Aside {
    /// Payloads of more bytes than this.
    pub(crate) over: usize,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A key of its own under the queue's tag, for so long after it was last read.
    Redis {
        keep: Duration,
    },
    Store(Arc<dyn BlobStore>),
}

impl Queue {
    /// The payload of a job, fetched if it is kept aside; `None` if it is no longer there. For those
    /// who take jobs with a [`Reader`](crate::Reader): a handler's job has its payload. One round trip
    /// if it is kept aside.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`], or [`Error::Blob`] from a [`BlobStore`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn payload(&self, job: &Job) -> Result<Option<Bytes>, Error> {
        match job.is_aside() {
            false => Ok(Some(job.payload_bytes())),
            true => self.blobs(Duration::ZERO).get(job.id()).await.map_err(blob),
        }
    }

    /// Keeps the payload aside, for a job that is not looked at for `wait`.
    pub(crate) async fn put_aside(&self, id: JobId, payload: Bytes, wait: Duration) -> Result<(), Error> {
        self.blobs(wait).put(id, payload).await.map_err(blob)
    }

    /// Deletes payloads of which no job is left.
    pub(crate) fn forget_payloads(&self, ids: Vec<JobId>) {
        if ids.is_empty() {
            return;
        }
        let blobs = self.blobs(Duration::ZERO);
        self.redis.detach(async move {
            for id in ids {
                if let Err(error) = blobs.delete(id).await {
                    tracing::warn!(
                        target: redis_patterns_core::telemetry::TARGET,
                        %error, "a payload that was kept aside could not be deleted"
                    );
                }
            }
        });
    }

    fn blobs(&self, wait: Duration) -> Arc<dyn BlobStore> {
        let keep = match self.options.aside.as_ref().map(|aside| &aside.place) {
            Some(Place::Store(store)) => return store.clone(),
            Some(Place::Redis { keep }) => *keep,
            None => UNTOLD,
        };
        Arc::new(InRedis { redis: self.redis.clone(), keys: self.keys.clone(), keep: keep + wait })
    }
}

/// A failure of Redis itself is told as such.
fn blob(error: BlobError) -> Error {
    error.downcast().map_or_else(Error::Blob, |error| Error::Redis(*error))
}

/// Payloads as keys of their own, each with a TTL that is counted from when it was last read.
#[derive(Debug)]
struct InRedis {
    redis: Redis,
    keys: Arc<Keys>,
    keep: Duration,
}

#[async_trait]
impl BlobStore for InRedis {
    async fn put(&self, id: JobId, payload: Bytes) -> Result<(), BlobError> {
        let key = self.keys.payload(id);
        Ok(until_answered(|| scripts::put_payload(&self.redis, &key, payload.clone(), self.keep)).await?)
    }

    async fn get(&self, id: JobId) -> Result<Option<Bytes>, BlobError> {
        let key = self.keys.payload(id);
        Ok(until_answered(|| scripts::get_payload(&self.redis, &key, self.keep)).await?)
    }

    async fn delete(&self, id: JobId) -> Result<(), BlobError> {
        let key = self.keys.payload(id);
        Ok(until_answered(|| scripts::delete_payload(&self.redis, &key)).await?)
    }
}
