//! The right and the duty to do the work.

use crate::audit::AuditEvent;
use crate::durable::{Author, Kept};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::Options;
use crate::record::Record;
use crate::{keys, payload, scripts, telemetry};
use bytes::Bytes;
use redis_patterns_core::until_answered;
use redis_patterns_core::{BootInstant, Error as RedisError, Key, Redis};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tracing::Instrument as _;

/// Whether the outcome was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a claim may have been lost to another worker"]
pub enum Completion {
    /// Stored: every later request with this key replays it.
    Stored,
    /// The lease was over and another worker took the request over, or the record is gone. Nothing
    /// was stored: that worker's outcome will be, or is, the one that counts.
    Lost,
}

/// Whether the claim was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a claim may have been lost to another worker"]
pub enum Release {
    /// The next request with this key runs at once.
    Released,
    /// Another worker took the request over; its claim was left alone.
    Lost,
}

/// The claim on one request, held by this attempt alone until its lease is over.
///
/// End it with [`complete`](Self::complete), with [`release`](Self::release) if nothing was done, or
/// with [`indeterminate`](Self::indeterminate) if nobody knows. Work that may outlast the lease goes
/// under [`hold_while`](Self::hold_while).
///
/// # Dropped without an end
///
/// The claim is abandoned, and nothing is told to Redis: retries are answered
/// [`InProgress`](crate::Begin::InProgress) until the lease is over, and then as
/// [`Takeover`](crate::Takeover) says.
pub struct Claim {
    pub(crate) redis: Redis,
    pub(crate) key: Key,
    pub(crate) record: Record,
    /// Before the claim was sent: its lease ends no earlier than this plus the lease.
    pub(crate) since: BootInstant,
    pub(crate) options: Arc<Options>,
}

impl Claim {
    /// Which attempt this is, from 1. Above 1, an earlier one died or lost its lease half way:
    /// part of the work may be done. With [`request`](Self::request) it is a fencing number.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.record.attempt
    }

    /// A name for the request, 64 hexadecimal digits, the same for every attempt and for no other
    /// request. It is what to send as the idempotency key to services further down.
    #[must_use]
    pub fn request(&self) -> &str {
        keys::request(&self.key)
    }

    /// The fingerprint of the request.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.record.fingerprint
    }

    /// Stores the outcome, which every later request with this key will replay.
    ///
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]. The outcome may be stored or not; if not, retries are answered
    /// [`InProgress`](crate::Begin::InProgress) until the lease is over and the next one runs the
    /// work again. [`Error::Audit`]: the outcome is stored, and the trail has no entry of it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the owner's token makes the second run find the first.
    pub async fn complete(self, outcome: impl Into<Bytes>) -> Result<Completion, Error> {
        let outcome = payload::store(&self.options, &self.key, outcome.into())?;
        let done = self.record.done(outcome);
        self.end(done, AuditEvent::Completed).await
    }

    /// Records that the work ended and nobody knows what it did, such as after a call further down
    /// that was not answered. Later requests with this key are answered
    /// [`InDoubt`](crate::Begin::InDoubt) until somebody
    /// [resolves](crate::Idempotency::resolve) it; none runs by itself.
    ///
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]. If the claim still stands, it is abandoned with its lease.
    /// [`Error::Audit`] as [`Self::complete`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the owner's token makes the second run find the first.
    pub async fn indeterminate(self) -> Result<Completion, Error> {
        let in_doubt = self.record.in_doubt();
        self.end(in_doubt, AuditEvent::InDoubt).await
    }

    /// Stores what a durable store knows of the request.
    pub(crate) async fn complete_as(self, kept: Kept) -> Result<Completion, Error> {
        let outcome = payload::store(&self.options, &self.key, kept.outcome)?;
        let mut done = self.record.done(outcome);
        done.fingerprint = kept.fingerprint;
        self.end(done, AuditEvent::Restored).await
    }

    async fn end(self, ended: Record, event: AuditEvent) -> Result<Completion, Error> {
        let held = self.finish(End::As(ended), event).await?;
        Ok(if held { Completion::Stored } else { Completion::Lost })
    }

    /// Tells Redis and the trail how the claim ends, to the end although nobody waits; answers whether
    /// it was the caller's to end.
    async fn finish(self, end: End, event: AuditEvent) -> Result<bool, Error> {
        let redis = self.redis.clone();
        let finishing = async move {
            let held = until_answered(|| end.send(&self)).await?;
            let event = if held { event } else { AuditEvent::Lost };
            telemetry::ended(event, self.since.elapsed());
            self.options.note_taken(event, Author::from(&self)).await?;
            Ok(held)
        };
        ToItsEnd { redis, step: Some(Box::pin(finishing.instrument(telemetry::ending()))), begun: false }
            .await
    }

    /// Gives the request back as if this attempt had never been. Only for work that had no effect.
    ///
    /// The next request with this key runs at once, whatever its fingerprint. If earlier attempts
    /// died half way, their fingerprint and their count stay: they may have had an effect.
    ///
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]. If the claim still stands, it ends with its lease.
    /// [`Error::Audit`] as [`Self::complete`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all. If another request claimed the key in between, that is
    /// reported as [`Release::Lost`]; nothing is taken from it.
    pub async fn release(self) -> Result<Release, Error> {
        let held = self.finish(End::Release, AuditEvent::Released).await?;
        Ok(if held { Release::Released } else { Release::Lost })
    }

    /// Gives the request up at once instead of when the lease is over, for work that failed half
    /// way: the next request with this key is answered as [`Takeover`](crate::Takeover) says.
    ///
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]. If the claim still stands, it is abandoned with its lease.
    /// [`Error::Audit`] as [`Self::complete`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// As [`Self::release`].
    pub async fn abandon(self) -> Result<Release, Error> {
        let held = self.finish(End::Abandon, AuditEvent::Abandoned).await?;
        Ok(if held { Release::Released } else { Release::Lost })
    }
}

/// How a claim ends.
enum End {
    /// With this record in its place.
    As(Record),
    Release,
    Abandon,
}

impl End {
    async fn send(&self, claim: &Claim) -> Result<bool, RedisError> {
        let (redis, key) = (&claim.redis, &claim.key);
        match self {
            Self::As(ended) => scripts::complete(redis, key, ended).await,
            Self::Release => scripts::release(redis, key, &claim.record).await,
            Self::Abandon => scripts::abandon(redis, key, &claim.record).await,
        }
    }
}

/// A step that runs to its end once it has begun: in the caller's task as long as somebody waits for it, and
/// then in one of its own.
struct ToItsEnd<F: Future<Output: Send> + Send + 'static> {
    redis: Redis,
    step: Option<Pin<Box<F>>>,
    begun: bool,
}

impl<F: Future<Output: Send> + Send + 'static> Future for ToItsEnd<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.begun = true;
        // Asked again after its end, it has nothing to say.
        let Some(step) = &mut self.step else { return Poll::Pending };
        let output = ready!(step.as_mut().poll(context));
        self.step = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for ToItsEnd<F> {
    fn drop(&mut self) {
        if let (true, Some(step)) = (self.begun, self.step.take()) {
            self.redis.detach(step);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("attempt", &self.record.attempt).finish_non_exhaustive()
    }
}
