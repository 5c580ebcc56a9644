//! Outcomes that outlive Redis: a second record, in the database that the work writes to.

use crate::fingerprint::Fingerprint;
use async_trait::async_trait;
use bytes::Bytes;
use std::error::Error as StdError;

/// What a database knows of a request that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The request's fingerprint.
    pub fingerprint: Fingerprint,
    /// The outcome, as it was given to [`Claim::complete`](crate::Claim::complete).
    pub outcome: Bytes,
}

/// A place where outcomes are kept beside Redis, asked before any request runs.
///
/// It must be written in the transaction of the work itself, with one row for each request: then a
/// request whose claim Redis forgot (a failover, an eviction, a `FLUSHALL`) runs into the row that
/// is there, and the loss costs a query instead of a second effect. The module `sql` (feature
/// `sqlx`) does this for Postgres and SQLite.
#[async_trait]
pub trait DurableStore: Send + Sync {
    /// The outcome of `request` ([`Claim::request`](crate::Claim::request)), if it was done.
    ///
    /// # Errors
    ///
    /// Those of the store; the request does not run then.
    async fn lookup(&self, request: &str) -> Result<Option<Kept>, Box<dyn StdError + Send + Sync>>;
}
