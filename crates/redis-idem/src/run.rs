//! The whole of it for callers who have their work in one function.

use crate::begin::Begin;
use crate::claim::{Claim, Completion, Release};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::hold::Loss;
use crate::idempotency::Idempotency;
use crate::scope::Scope;
use bytes::Bytes;
use redis_patterns_core::{Error as RedisError, ErrorKind, Executed};
use std::future::Future;
use std::time::Duration;

/// What the work is told of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The name of the request, as [`Claim::request`]: the idempotency key for services further down.
    pub request: String,
    /// The request's fingerprint, as [`Claim::fingerprint`].
    pub fingerprint: Fingerprint,
    /// Which attempt this is, from 1, as [`Claim::attempt`].
    pub number: u32,
    /// Tells if the claim is lost meanwhile.
    pub loss: Loss,
}

impl Attempt {
    pub(crate) fn of(claim: &Claim, loss: Loss) -> Self {
        let (request, fingerprint) = (claim.request().to_owned(), claim.fingerprint());
        Self { request, fingerprint, number: claim.attempt(), loss }
    }
}

/// How the work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<T> {
    /// It is done: the outcome is stored and replayed, be it a success or a refusal.
    Complete(T),
    /// It had no effect: the outcome goes to this caller only, and the next request runs.
    Release(T),
    /// Nobody knows what it did: the outcome goes to this caller only, and later requests are
    /// answered [`Run::InDoubt`].
    Indeterminate(T),
}

/// What became of a request.
#[derive(Debug)]
#[must_use = "the work may not have run"]
#[non_exhaustive]
pub enum Run<T> {
    /// The work ran now, and how it ended is recorded.
    Ran(T),
    /// The work ran before; this is its outcome. Nothing ran now.
    Replayed(T),
    /// The work ran now, but another worker had taken the request over, since no sign of life got
    /// through for a lease: it may have been done twice, and the other's outcome is the one stored.
    Lost(T),
    /// The work ran now, but how it ended could not be recorded: the request is abandoned. After
    /// [`Error::Audit`] it is not: Redis has how it ended, and only the trail lacks its entry.
    Unrecorded(T, Error),
    /// As [`Begin::InProgress`].
    InProgress {
        /// As in [`Begin::InProgress`].
        retry_after: Duration,
    },
    /// As [`Begin::Mismatch`].
    Mismatch,
    /// As [`Begin::InDoubt`].
    InDoubt,
}

impl Idempotency {
    /// Does the work if the request is new, and answers its outcome, then or from the record.
    ///
    /// The work runs as a task of its own under [`Claim::hold_while`], so it may take longer than a
    /// lease. [`Redis::close`](crate::Redis::close) waits for it, but refuses its completion: let
    /// the work end before closing.
    ///
    /// A caller who would rather wait than be answered [`Run::InProgress`] asks by
    /// [`Self::begin_or_wait`] and goes on with [`Begin::run`].
    ///
    /// ```no_run
    /// # async fn example(requests: redis_idem::Idempotency) -> Result<(), redis_idem::Error> {
    /// use redis_idem::{Ending, Fingerprint, Run, Scope};
    ///
    /// let event = br#"{"id":"evt_1","paid":10}"#;
    /// let run = requests
    ///     .run(&Scope::Global, "webhook", "evt_1", Fingerprint::of(event), |attempt| async move {
    ///         println!("attempt {}", attempt.number);
    ///         Ending::Complete("booked".into())
    ///     })
    ///     .await?;
    /// assert!(matches!(run, Run::Ran(outcome) | Run::Replayed(outcome) if outcome == "booked"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::begin`]: the work did not run.
    ///
    /// # Panics
    ///
    /// If the work does. Its claim is abandoned then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once it runs, the work runs to its end and is recorded, although nobody waits.
    ///
    /// # If the reply is lost
    ///
    /// As [`Self::begin`] and [`Claim::complete`].
    pub async fn run<W, F>(
        &self,
        scope: &Scope,
        operation: &str,
        key: impl AsRef<[u8]>,
        fingerprint: Fingerprint,
        work: W,
    ) -> Result<Run<Bytes>, Error>
    where
        W: FnOnce(Attempt) -> F + Send + 'static,
        F: Future<Output = Ending<Bytes>> + Send + 'static,
    {
        self.begin(scope, operation, key, fingerprint).await?.run(work).await
    }

    /// [`Self::run`] with an outcome that is stored as JSON.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], and if the stored outcome is no `T`. If the new outcome has no encoding,
    /// the request is left in doubt.
    ///
    /// # Panics
    ///
    /// As [`Self::run`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::run`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Self::run`].
    #[cfg(feature = "json")]
    pub async fn run_json<T, W, F>(
        &self,
        scope: &Scope,
        operation: &str,
        key: impl AsRef<[u8]>,
        fingerprint: Fingerprint,
        work: W,
    ) -> Result<Run<T>, Error>
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
        W: FnOnce(Attempt) -> F + Send + 'static,
        F: Future<Output = Ending<T>> + Send + 'static,
    {
        self.begin(scope, operation, key, fingerprint).await?.run_json(work).await
    }
}

impl Begin {
    /// Does the work if the request was started, as [`Idempotency::run`] does; else the answer stays
    /// what it was.
    ///
    /// ```no_run
    /// # async fn example(requests: redis_idem::Idempotency) -> Result<(), redis_idem::Error> {
    /// use redis_idem::{Ending, Fingerprint, Run, Scope};
    /// use std::time::Duration;
    ///
    /// let (event, patience) = (br#"{"id":"evt_1","paid":10}"#, Duration::from_secs(5));
    /// let run = requests
    ///     .begin_or_wait(&Scope::Global, "webhook", "evt_1", Fingerprint::of(event), patience)
    ///     .await?
    ///     .run(|_| async { Ending::Complete("booked".into()) })
    ///     .await?;
    /// assert!(matches!(run, Run::Ran(outcome) | Run::Replayed(outcome) if outcome == "booked"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if the runtime shuts down meanwhile.
    ///
    /// # Panics
    ///
    /// If the work does. Its claim is abandoned then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe once it is polled, as [`Idempotency::run`]; before, the claim is abandoned.
    ///
    /// # If the reply is lost
    ///
    /// As [`Claim::complete`].
    pub async fn run<W, F>(self, work: W) -> Result<Run<Bytes>, Error>
    where
        W: FnOnce(Attempt) -> F + Send + 'static,
        F: Future<Output = Ending<Bytes>> + Send + 'static,
    {
        self.run_with(work, |bytes| Ok(bytes.clone()), Ok).await
    }

    /// [`Self::run`] with an outcome that is stored as JSON.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], and if the stored outcome is no `T`. If the new outcome has no encoding,
    /// the request is left in doubt.
    ///
    /// # Panics
    ///
    /// As [`Self::run`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::run`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Self::run`].
    #[cfg(feature = "json")]
    pub async fn run_json<T, W, F>(self, work: W) -> Result<Run<T>, Error>
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
        W: FnOnce(Attempt) -> F + Send + 'static,
        F: Future<Output = Ending<T>> + Send + 'static,
    {
        use redis_patterns_core::{Codec as _, Json};
        let encode = |value: &T| Json.encode("idem/run", value);
        self.run_with(work, encode, |bytes| Json.decode("idem/run", &bytes)).await
    }

    async fn run_with<T, W, F>(
        self,
        work: W,
        encode: impl Fn(&T) -> Result<Bytes, RedisError> + Send + 'static,
        decode: impl Fn(Bytes) -> Result<T, RedisError>,
    ) -> Result<Run<T>, Error>
    where
        T: Send + 'static,
        W: FnOnce(Attempt) -> F + Send + 'static,
        F: Future<Output = Ending<T>> + Send + 'static,
    {
        let claim = match self {
            Self::Started(claim) => claim,
            Self::Replay(outcome) => return Ok(Run::Replayed(decode(outcome)?)),
            Self::InProgress { retry_after } => return Ok(Run::InProgress { retry_after }),
            Self::Mismatch => return Ok(Run::Mismatch),
            Self::InDoubt => return Ok(Run::InDoubt),
        };
        let redis = claim.redis.clone();
        let running = redis.detach(async move {
            let ending = claim.hold_while(|loss| work(Attempt::of(&claim, loss))).await;
            record(claim, ending, encode).await
        });
        running.await.unwrap_or_else(|stopped| match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => {
                let what = "the runtime is shutting down";
                Err(RedisError::new(ErrorKind::Closed, Executed::Maybe, "idem/run", what).into())
            }
        })
    }
}

/// Tells Redis how the work ended.
async fn record<T>(
    claim: Claim,
    ending: Ending<T>,
    encode: impl Fn(&T) -> Result<Bytes, RedisError>,
) -> Result<Run<T>, Error> {
    let (value, recorded) = match ending {
        Ending::Complete(value) => match encode(&value) {
            Ok(outcome) => (value, claim.complete(outcome).await),
            Err(error) => {
                let _ = claim.indeterminate().await?;
                return Err(error.into());
            }
        },
        Ending::Release(value) => match claim.release().await {
            Ok(Release::Released) => return Ok(Run::Ran(value)),
            Ok(Release::Lost) => return Ok(Run::Lost(value)),
            Err(error) => return Ok(Run::Unrecorded(value, error)),
        },
        Ending::Indeterminate(value) => (value, claim.indeterminate().await),
    };
    Ok(match recorded {
        Ok(Completion::Stored) => Run::Ran(value),
        Ok(Completion::Lost) => Run::Lost(value),
        Err(error) => Run::Unrecorded(value, error),
    })
}
