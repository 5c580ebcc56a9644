//! Waiting for the outcome of a request that somebody else is doing.

use crate::begin::Begin;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::idempotency::Idempotency;
use crate::keys;
use crate::scope::Scope;
use redis_patterns_core::BootInstant;
use std::time::Duration;
use tokio::time::timeout;

impl Idempotency {
    /// [`Self::begin`] for a caller who would rather wait than come again: if the request is in
    /// progress, waits up to `patience` for what becomes of it.
    ///
    /// Redis tells the waiter when the claim ends, so nothing is asked meanwhile; what it was told
    /// before it listened is not missed, since it listens first and then looks. When the claim's
    /// lease ends first, the waiter is treated like any caller who comes then. It takes nothing
    /// from the one at work.
    ///
    /// A waiter costs a subscription on a connection that all of them share.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::begin`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Self::begin`].
    pub async fn begin_or_wait(
        &self,
        scope: &Scope,
        operation: &str,
        key: impl AsRef<[u8]>,
        fingerprint: Fingerprint,
        patience: Duration,
    ) -> Result<Begin, Error> {
        let started = BootInstant::now();
        let key = key.as_ref();
        let first = self.begin(scope, operation, key, fingerprint).await?;
        if !matches!(first, Begin::InProgress { .. }) || patience.is_zero() {
            return Ok(first);
        }
        let channel = keys::record(self.redis.namespace(), scope, operation, key)?;
        // Without news there is nothing to wait for but the lease.
        let Ok(mut news) = self.redis.subscribe(&channel).await else { return Ok(first) };
        loop {
            let begin = self.begin(scope, operation, key, fingerprint).await?;
            let left = started.remaining_of(patience);
            match begin {
                Begin::InProgress { retry_after } if !left.is_zero() => {
                    // News, or the end of the lease or of the patience: all are reasons to look.
                    if let Ok(Err(closed)) = timeout(left.min(retry_after), news.next()).await {
                        return Err(closed.into());
                    }
                }
                answer => return Ok(answer),
            }
        }
    }
}
