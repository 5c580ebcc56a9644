//! The handle that a service holds.

use crate::begin::Begin;
use crate::claim::Claim;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::Options;
use crate::record::{Owner, Record, State};
use crate::resend::until_answered;
use crate::scope::Scope;
use crate::scripts::Takeover;
use crate::{keys, scripts};
use redis_patterns_core::{Key, Redis};
use std::time::Duration;

/// How often a record may vanish or change hands under one call before the caller is sent away.
const ROUNDS: u32 = 3;
/// The wait for a caller who was sent away: the record changes hands faster than it can be read.
const CONTENDED: Duration = Duration::from_secs(1);

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
    redis: Redis,
    options: Options,
}

impl Idempotency {
    /// An engine with the defaults of [`Options`].
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, options: Options::new() }
    }

    /// An engine with other settings.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a lease below a millisecond, or a retention below twice the lease
    /// or above 2^53 milliseconds.
    pub fn with_options(redis: Redis, options: Options) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { redis, options })
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
    /// One round trip for a new request and for one that is done; two for one that is in progress,
    /// whose lease the server must judge.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] for a scope, operation or key out of its range. [`Error::Redis`] if Redis
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
        let claim = Record::claim(Owner::random()?, fingerprint, 1, &self.options);
        let mut asked = Asked { redis: &self.redis, key: &key, claim, delivered: false };
        let begin = asked.claim_or_judge().await?;
        asked.delivered = true;
        Ok(begin)
    }
}

/// One call on its way. If nobody will receive its answer (it failed, or its future was dropped),
/// it gives back the claim that the server may have granted.
struct Asked<'a> {
    redis: &'a Redis,
    key: &'a Key,
    claim: Record,
    delivered: bool,
}

impl Asked<'_> {
    async fn claim_or_judge(&mut self) -> Result<Begin, Error> {
        let mut there = self.claim().await?;
        let mut rounds = 0;
        loop {
            let Some(seen) = there else { return Ok(self.started()) };
            if seen.owner == self.claim.owner {
                return Ok(self.started());
            }
            if seen.fingerprint != self.claim.fingerprint {
                return Ok(Begin::Mismatch);
            }
            if seen.state == State::Done {
                return Ok(Begin::Replay(seen.outcome));
            }
            if rounds == ROUNDS {
                return Ok(Begin::InProgress { retry_after: CONTENDED });
            }
            rounds += 1;
            there = match self.take_over(&seen).await? {
                Takeover::Taken => return Ok(self.started()),
                Takeover::Alive(left) => return Ok(Begin::InProgress { retry_after: left }),
                Takeover::Changed(record) => Some(record),
                Takeover::Gone => self.claim().await?,
            };
        }
    }

    async fn claim(&mut self) -> Result<Option<Record>, Error> {
        self.claim.attempt = 1;
        Ok(until_answered(|| scripts::claim(self.redis, self.key, &self.claim)).await?)
    }

    async fn take_over(&mut self, seen: &Record) -> Result<Takeover, Error> {
        self.claim.attempt = seen.attempt.saturating_add(1);
        Ok(until_answered(|| scripts::takeover(self.redis, self.key, seen, &self.claim)).await?)
    }

    fn started(&self) -> Begin {
        Begin::Started(Claim::new(self.redis.clone(), self.key.clone(), self.claim.clone()))
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.delivered {
            return;
        }
        let (redis, key, claim) = (self.redis.clone(), self.key.clone(), self.claim.clone());
        self.redis.detach(async move {
            // Best effort: what fails here ends with the lease.
            let _ = scripts::release(&redis, &key, &claim).await;
        });
    }
}
