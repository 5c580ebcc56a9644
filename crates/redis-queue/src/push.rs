//! How jobs come in.

use crate::envelope::Header;
use crate::error::Error;
use crate::job::JobId;
use crate::new_job::NewJob;
use crate::outcome::Pushed;
use crate::queue::Queue;
use crate::scripts::{self, Due};
use crate::telemetry;
use bytes::Bytes;
use redis_patterns_core::{Backoff, millis};
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

/// Waits for room in a full queue.
const FULL: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));

/// The latest deadline that an envelope has room for, in ms since 1970.
const LATEST: u64 = (1 << 48) - 1;

impl Queue {
    /// Adds one job behind all that wait. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Payload`] before anything is sent; [`Error::Redis`] if Redis did not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped push may still add the job.
    ///
    /// # If the reply is lost
    ///
    /// The job may wait, and pushing again may add it twice.
    pub async fn push(&self, job: impl Into<NewJob>) -> Result<Pushed, Error> {
        self.push_many([job]).await
    }

    /// Adds up to 1,000 jobs behind all that wait, all or none, the first to run first. One round
    /// trip.
    ///
    /// # Errors
    ///
    /// [`Error::Payload`] and [`Error::Batch`] before anything is sent; [`Error::Redis`] if Redis
    /// did not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped push may still add the jobs.
    ///
    /// # If the reply is lost
    ///
    /// All of the jobs wait, or none of them.
    pub async fn push_many<J: Into<NewJob>>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<Pushed, Error> {
        let jobs = jobs.into_iter().map(Into::into).collect();
        telemetry::pushing(self.push_all(jobs)).await
    }

    async fn push_all(&self, jobs: Vec<NewJob>) -> Result<Pushed, Error> {
        let Sealed { ids, jobs, aside } = self.seal(jobs, Duration::ZERO).await?;
        if jobs.is_empty() {
            return Ok(Pushed::Accepted { ids, depth: self.depth().await? });
        }
        let (added, depth) = scripts::push(&self.redis, &self.keys, self.options.max_len, jobs).await?;
        if added {
            return Ok(Pushed::Accepted { ids, depth });
        }
        self.forget_payloads(aside);
        Ok(Pushed::Full { depth })
    }

    /// Adds one job behind all that wait, and waits up to `wait` for room in a queue that is full; it
    /// asks every 5 to 100 ms. [`Pushed::Full`] after that.
    ///
    /// Who waits holds up its own caller: this is how back-pressure reaches the source.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`].
    pub async fn push_within(&self, wait: Duration, job: impl Into<NewJob>) -> Result<Pushed, Error> {
        let (job, until) = (job.into(), Instant::now() + wait);
        for tries in 0.. {
            let pushed = self.push(job.clone()).await?;
            let pause = FULL.delay(tries);
            if !matches!(pushed, Pushed::Full { .. }) || Instant::now() + pause > until {
                return Ok(pushed);
            }
            tokio::time::sleep(pause).await;
        }
        unreachable!("the loop above has no end of its own")
    }

    /// Adds one job whose payload is a value, as JSON.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`], and a codec error if the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`].
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn push_json<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<Pushed, Error> {
        self.push(NewJob::json(value)?).await
    }

    /// Adds one job whose payload is a value, as MessagePack with the names of fields.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`], and a codec error if the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`].
    #[cfg(feature = "msgpack")]
    #[cfg_attr(docsrs, doc(cfg(feature = "msgpack")))]
    pub async fn push_msgpack<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<Pushed, Error> {
        self.push(NewJob::msgpack(value)?).await
    }

    /// Adds one job behind all that wait, unless one with the same `key` (any bytes) was added
    /// within its window, whether it has run or not. One round trip.
    ///
    /// The window is the time in which a producer may try again: until then a push whose reply was
    /// lost, a double click or a second scheduler adds nothing.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// Push again with the same key: the job is added once.
    ///
    /// # If the reply is lost
    ///
    /// Push again with the same key: [`Pushed::Duplicate`] then means that the first was added.
    pub async fn push_unique(
        &self,
        key: impl AsRef<[u8]>,
        window: Duration,
        job: impl Into<NewJob>,
    ) -> Result<Pushed, Error> {
        let (job, key) = (job.into(), self.keys.unique(key.as_ref()));
        let push = async {
            let sealed = self.seal_one(job, Duration::ZERO).await?;
            let (job, unique) = ((sealed.id, sealed.job), (&key, window));
            let pushed =
                scripts::push_unique(&self.redis, &self.keys, self.options.max_len, unique, job).await?;
            if !pushed.is_accepted() {
                self.forget_payloads(sealed.aside);
            }
            Ok(pushed)
        };
        telemetry::pushing(push).await
    }

    /// Adds one job that waits until `delay` from now by the server's clock, then stands behind all
    /// that wait. Workers sleep until the next is due, so it runs within milliseconds of that. One
    /// round trip. It does not count for [`max_len`](crate::QueueOptions::max_len).
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// The job may be there, and pushing again may add it twice.
    pub async fn push_in(&self, delay: Duration, job: impl Into<NewJob>) -> Result<JobId, Error> {
        self.schedule(Due::In(delay), job.into()).await
    }

    /// Adds one job that waits until `at` by the server's clock; as [`Queue::push_in`] otherwise.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// The job may be there, and pushing again may add it twice.
    pub async fn push_at(&self, at: SystemTime, job: impl Into<NewJob>) -> Result<JobId, Error> {
        self.schedule(Due::At(at), job.into()).await
    }

    async fn schedule(&self, due: Due, job: NewJob) -> Result<JobId, Error> {
        // Only how long a payload is kept aside hangs on this, so it may be the local clock's.
        let wait = match due {
            Due::In(delay) => delay,
            Due::At(at) => at.duration_since(SystemTime::now()).unwrap_or_default(),
        };
        let sealed = self.seal_one(job, wait).await?;
        scripts::schedule(&self.redis, &self.keys, due, sealed.job).await?;
        Ok(sealed.id)
    }

    pub(crate) async fn seal_one(&self, job: NewJob, wait: Duration) -> Result<SealedOne, Error> {
        let Sealed { ids, mut jobs, aside } = self.seal(vec![job], wait).await?;
        Ok(SealedOne { id: ids[0], job: jobs.pop().unwrap_or_default(), aside })
    }

    /// The jobs as they are sent, with large payloads put aside. They are not looked at for `wait`.
    async fn seal(&self, new: Vec<NewJob>, wait: Duration) -> Result<Sealed, Error> {
        if new.len() > scripts::BATCH {
            return Err(Error::Batch { jobs: new.len(), most: scripts::BATCH });
        }
        let most = self.options.max_payload;
        if let Some(job) = new.iter().find(|job| job.payload.len() > most) {
            return Err(Error::Payload { bytes: job.payload.len(), most });
        }
        let now_ms = match new.iter().any(|job| job.deadline.is_some()) {
            true => self.time.now_ms(&self.redis, &self.keys).await?,
            false => 0,
        };
        let current = self.options.trace.as_ref().and_then(|source| source());
        let mut sealed = Sealed::default();
        for job in new {
            let mut header = Header::new(job.codec);
            header.deadline_ms =
                job.deadline.map_or(0, |after| now_ms.saturating_add_signed(millis(after)).min(LATEST));
            header.trace = job.trace.or(current);
            header.keep_result_s = job.keep_result.and_then(seconds);
            header.aside = self.options.aside.as_ref().is_some_and(|aside| job.payload.len() > aside.over);
            sealed.ids.push(header.id);
            if header.aside {
                self.put_aside(header.id, job.payload, wait).await?;
                sealed.aside.push(header.id);
                sealed.jobs.push(header.seal(&[]));
            } else {
                sealed.jobs.push(header.seal(&job.payload));
            }
        }
        Ok(sealed)
    }
}

/// Jobs as they are sent.
#[derive(Default)]
struct Sealed {
    ids: Vec<JobId>,
    jobs: Vec<Bytes>,
    /// Those of them whose payload was put aside.
    aside: Vec<JobId>,
}

/// One job as it is sent.
pub(crate) struct SealedOne {
    pub(crate) id: JobId,
    pub(crate) job: Bytes,
    pub(crate) aside: Vec<JobId>,
}

/// Whole seconds, rounded up, at least 1.
fn seconds(span: Duration) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(span.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1))
}
