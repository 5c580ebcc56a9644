//! Settling a request whose client is answered 409 since nobody knows what it did.

use super::key;
use super::layer::IdempotencyLayer;
use super::service::OPERATION;
use super::stored::outcome_of;
use crate::error::Error;
use crate::idempotency::{Resolution, Resolved};
use crate::scope::Scope;
use bytes::Bytes;
use http::Response;

impl IdempotencyLayer {
    /// Settles a request that is [in doubt](crate::Begin::InDoubt), for a person or a job that has
    /// found out what was done: its retries run, or are answered with the response given. Two round
    /// trips.
    ///
    /// `scope` is the one that the layer's own function named for the client, `key` the header as the
    /// client sent it, quoted or bare. Of the response the layer replays what it would have kept.
    ///
    /// ```no_run
    /// # async fn example(layer: redis_idem::http::IdempotencyLayer) -> Result<(), Box<dyn std::error::Error>> {
    /// use redis_idem::{Resolution, Resolved, Scope};
    ///
    /// // The bank says that the money was taken.
    /// let paid = http::Response::builder().status(201).body("payment 7 of 10".into())?;
    /// let settled = layer.resolve(&Scope::tenant("acme"), "8e03978e", Resolution::Done(paid)).await?;
    /// assert_eq!(settled, Resolved::Settled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Known to Redis alone
    ///
    /// As [`Idempotency::resolve`](crate::Idempotency::resolve).
    ///
    /// # Errors
    ///
    /// [`Error::Key`] for a header that the layer would have answered 400; else as
    /// [`Idempotency::resolve`](crate::Idempotency::resolve).
    ///
    /// # Cancel safety
    ///
    /// As [`Idempotency::resolve`](crate::Idempotency::resolve).
    ///
    /// # If the reply is lost
    ///
    /// As [`Idempotency::resolve`](crate::Idempotency::resolve).
    pub async fn resolve(
        &self,
        scope: &Scope,
        key: impl AsRef<[u8]>,
        resolution: Resolution<Response<Bytes>>,
    ) -> Result<Resolved, Error> {
        let key = key::parsed(key.as_ref()).ok_or(Error::Key("no header that a client could have sent"))?;
        let resolution = match resolution {
            Resolution::Rerun => Resolution::Rerun,
            Resolution::Done(response) => Resolution::Done(outcome_of(&response)),
        };
        self.settings.requests.resolve(scope, OPERATION, key, resolution).await
    }
}
