//! Outcomes that outlive Redis: a second record, in the database that the work writes to.

use crate::claim::Claim;
use crate::fingerprint::Fingerprint;
use crate::run::Attempt;
use async_trait::async_trait;
use bytes::Bytes;
use std::error::Error as StdError;

/// The attempt that a row in a database is about; of a [`Claim`] or an [`Attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// The name of the request, as [`Claim::request`].
    pub request: &'a str,
    /// The request's fingerprint.
    pub fingerprint: Fingerprint,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

impl<'a> From<&'a Claim> for Author<'a> {
    fn from(claim: &'a Claim) -> Self {
        Self { request: claim.request(), fingerprint: claim.fingerprint(), attempt: claim.attempt() }
    }
}

impl<'a> From<&'a Attempt> for Author<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self { request: &attempt.request, fingerprint: attempt.fingerprint, attempt: attempt.number }
    }
}

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
