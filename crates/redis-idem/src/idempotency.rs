//! The handle that a service holds.

use crate::ask::Asked;
use crate::audit::AuditEvent;
use crate::begin::Begin;
use crate::durable::Author;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::Options;
use crate::record::State;
use crate::scope::Scope;
use crate::{keys, payload, scripts, telemetry};
use bytes::Bytes;
use redis_patterns_core::Redis;
use std::sync::Arc;

/// How a request in doubt is settled; its outcome is the stored bytes, or over HTTP a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution<T = Bytes> {
    /// Nothing was done: the next request with this key runs.
    Rerun,
    /// It was done, with this outcome, which is replayed from now on.
    Done(T),
}

/// Whether a request was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the request may not be in doubt"]
pub enum Resolved {
    /// It was in doubt and is settled.
    Settled,
    /// It was not in doubt, or no longer; nothing was changed.
    NotInDoubt,
}

/// Requests that take effect once, however often they are sent; cheap to clone.
///
/// ```no_run
/// # async fn example(redis: redis_idem::Redis) -> Result<(), redis_idem::Error> {
/// use redis_idem::{Begin, Fingerprint, Idempotency, Scope};
///
/// let requests = Idempotency::new(redis);
/// let body = r#"{"amount":10}"#;
/// match requests.begin(&Scope::tenant("acme"), "POST /pay", "8e03978e", Fingerprint::of(body)).await? {
///     Begin::Started(claim) => {
///         // ... take the money ...
///         let _ = claim.complete("paid").await?;
///     }
///     Begin::Replay(outcome) => assert_eq!(outcome, "paid"),
///     Begin::InProgress { retry_after } => println!("409, Retry-After: {}", retry_after.as_secs() + 1),
///     Begin::Mismatch => println!("422"),
///     _ => unreachable!(),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Idempotency {
    pub(crate) redis: Redis,
    options: Arc<Options>,
}

impl Idempotency {
    /// An engine with the defaults of [`Options`].
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, options: Arc::default() }
    }

    /// An engine with other settings.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a lease below a millisecond, or a retention below twice the lease
    /// or of 2^48 milliseconds and more.
    pub fn with_options(redis: Redis, options: Options) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { redis, options: Arc::new(options) })
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Claims the request, or says why it must not run.
    ///
    /// `operation` (1 to 1,024 bytes) names what is asked for, such as `POST /payments`; `key` is
    /// the client's (1 to 255 bytes of any kind). Together with the scope they name the request.
    ///
    /// One round trip for a new request, for one that is done, and for one that is in progress; two for
    /// one whose claim is older than its lease, which the server must judge.
    ///
    /// # Errors
    ///
    /// [`Error::Scope`] or [`Error::Key`] for what is out of its range. [`Error::Redis`] if Redis
    /// could not answer, or holds a record that this version cannot read. In no case was the
    /// request claimed for good.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a claim that nobody receives is given back in the background, or ends with its
    /// lease.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: a claim of this very call is known by its token.
    pub async fn begin(
        &self,
        scope: &Scope,
        operation: &str,
        key: impl AsRef<[u8]>,
        fingerprint: Fingerprint,
    ) -> Result<Begin, Error> {
        let key = keys::record(self.redis.namespace(), scope, operation, key.as_ref())?;
        telemetry::asked(Asked::new(&self.redis, &key, fingerprint, &self.options)?.answer()).await
    }

    /// Settles a request that is [in doubt](Begin::InDoubt), for an operator or a reconciliation
    /// job that has found out what was done. Two round trips. Over HTTP: `http::IdempotencyLayer::resolve`.
    ///
    /// # Known to Redis alone
    ///
    /// A durable store is not told. If Redis forgets the record, the request runs again unless its
    /// own transaction did commit.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`]. [`Error::Audit`]: the request is settled, and the trail has no entry of it.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the request may be settled.
    ///
    /// # If the reply is lost
    ///
    /// The request may be settled. Asking again answers [`Resolved::NotInDoubt`] then.
    pub async fn resolve(
        &self,
        scope: &Scope,
        operation: &str,
        key: impl AsRef<[u8]>,
        resolution: Resolution,
    ) -> Result<Resolved, Error> {
        let key = keys::record(self.redis.namespace(), scope, operation, key.as_ref())?;
        let Some(seen) = scripts::read(&self.redis, &key).await?.filter(|seen| seen.state == State::InDoubt)
        else {
            return Ok(Resolved::NotInDoubt);
        };
        let settled = match resolution {
            Resolution::Rerun => seen.abandoned(),
            Resolution::Done(outcome) => seen.found_done(payload::store(&self.options, &key, outcome)?)?,
        };
        if !scripts::resolve(&self.redis, &key, &seen, &settled).await? {
            return Ok(Resolved::NotInDoubt);
        }
        let (request, fingerprint) = (keys::request(&key), seen.fingerprint);
        let by = Author { request, fingerprint, attempt: seen.attempt };
        self.options.note_taken(AuditEvent::Resolved, by).await?;
        Ok(Resolved::Settled)
    }
}
