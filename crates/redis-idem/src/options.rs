//! How long records live and how long a worker is believed alive.

use crate::audit::{AuditEvent, AuditTrail};
use crate::durable::{Author, DurableStore};
use crate::error::Error;
use crate::takeover::Takeover;
use crate::telemetry;
#[cfg(feature = "encrypt")]
use redis_patterns_core::Keyring;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// 8,900 years: what a record has room for.
pub(crate) const LONGEST_MS: u64 = (1 << 48) - 1;

/// Settings of an [`Idempotency`](crate::Idempotency) engine.
///
/// ```
/// use redis_idem::Options;
/// use std::time::Duration;
///
/// let options = Options::new().retention(Duration::from_secs(3_600)).lease(Duration::from_secs(10));
/// assert_eq!(options.lease_of_claim(), Duration::from_secs(10));
/// ```
#[derive(Clone)]
pub struct Options {
    retention: Duration,
    lease: Duration,
    takeover: Takeover,
    durable: Option<Arc<dyn DurableStore>>,
    audit: Option<Arc<dyn AuditTrail>>,
    #[cfg(feature = "compress")]
    compress_above: Option<usize>,
    #[cfg(feature = "encrypt")]
    keyring: Option<Keyring>,
}

impl Options {
    /// The defaults: records are kept for 24 h, a claim is believed alive for 30 s, an abandoned
    /// request runs again.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            retention: Duration::from_secs(24 * 3_600),
            lease: Duration::from_secs(30),
            takeover: Takeover::Rerun,
            durable: None,
            audit: None,
            #[cfg(feature = "compress")]
            compress_above: None,
            #[cfg(feature = "encrypt")]
            keyring: None,
        }
    }

    /// How long a record is kept after its last change; 24 h unless set, the time within which
    /// public interfaces let a client retry. A request that comes later runs again.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// How long a claim is believed alive after the last sign of life; 30 s unless set, more than a
    /// request takes. Work under [`Claim::hold_while`](crate::Claim::hold_while) or
    /// [`Idempotency::run`](crate::Idempotency::run) gives signs of life and may take longer.
    ///
    /// # Too short is worse than too long
    ///
    /// A claim whose lease is over can be taken over, and the work then runs a second time while
    /// the first may still be at it. A longer lease only makes retries after a crash wait longer.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// What to do with a request whose worker is gone; it runs again unless set.
    #[must_use]
    pub fn takeover(mut self, takeover: Takeover) -> Self {
        self.takeover = takeover;
        self
    }

    /// Asks `store` before any request runs, for the price of one query each; nobody is asked
    /// unless set. Redis then answers what it remembers, and the store what Redis forgot.
    #[must_use]
    pub fn durable(mut self, store: Arc<dyn DurableStore>) -> Self {
        self.durable = Some(store);
        self
    }

    /// Tells `trail` what becomes of each request, for the price of one write at each step; nobody
    /// is told unless set. See [`AuditTrail`] for what a trail that cannot be written does.
    #[must_use]
    pub fn audit(mut self, trail: Arc<dyn AuditTrail>) -> Self {
        self.audit = Some(trail);
        self
    }

    pub(crate) async fn note(&self, event: AuditEvent, by: Author<'_>) -> Result<(), Error> {
        let Some(trail) = &self.audit else { return Ok(()) };
        trail.append(event, by).await.map_err(Error::Audit)
    }

    /// Notes a step that was taken and stays so: if that fails, the trail lacks it for good.
    pub(crate) async fn note_taken(&self, event: AuditEvent, by: Author<'_>) -> Result<(), Error> {
        let noted = self.note(event, by).await;
        if noted.is_err() {
            telemetry::entry_lost(event);
        }
        noted
    }

    pub(crate) fn is_audited(&self) -> bool {
        self.audit.is_some()
    }

    /// Compresses outcomes of more than 1 KiB (LZ4), if that makes them shorter; none unless set.
    ///
    /// # Readers first
    ///
    /// A process without the feature `compress` cannot replay such an outcome and answers an error.
    /// Records that were stored before are read either way.
    #[cfg(feature = "compress")]
    #[must_use]
    pub fn compressed(mut self) -> Self {
        self.compress_above = Some(1_024);
        self
    }

    /// Encrypts outcomes (after compression, if both are wanted), each bound to its record; none
    /// unless set. The fingerprint is stored as it is: whoever reads Redis and can guess a short
    /// body can check the guess.
    ///
    /// # Readers first
    ///
    /// A process without this key cannot replay such an outcome and answers an error. Records that
    /// were stored before are read either way. What a durable store keeps is not encrypted by this.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypted(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    #[cfg(feature = "encrypt")]
    pub(crate) fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_ref()
    }

    #[cfg(feature = "compress")]
    pub(crate) fn compress_above(&self) -> Option<usize> {
        self.compress_above
    }

    pub(crate) fn store(&self) -> Option<&dyn DurableStore> {
        self.durable.as_deref()
    }

    /// What is done with a request whose worker is gone.
    #[must_use]
    pub const fn takeover_of_abandoned(&self) -> &Takeover {
        &self.takeover
    }

    /// How long a record is kept after its last change.
    #[must_use]
    pub const fn retention_of_record(&self) -> Duration {
        self.retention
    }

    /// How long a claim is believed alive.
    #[must_use]
    pub const fn lease_of_claim(&self) -> Duration {
        self.lease
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.lease < Duration::from_millis(1) {
            return Err(Error::Options("a lease is at least one millisecond"));
        }
        if self.retention < self.lease.saturating_mul(2) {
            return Err(Error::Options("a retention is at least twice the lease, which it contains"));
        }
        if self.retention.as_millis() > u128::from(LONGEST_MS) {
            return Err(Error::Options("a retention is less than 2^48 milliseconds"));
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("retention", &self.retention)
            .field("lease", &self.lease)
            .field("takeover", &self.takeover)
            .field("durable", &self.durable.is_some())
            .field("audit", &self.audit.is_some())
            .finish()
    }
}
