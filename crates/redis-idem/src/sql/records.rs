//! The table of outcomes.

use super::trail::SqlTrail;
use crate::audit::AuditEvent;
use crate::durable::{Author, DurableStore, Kept};
use crate::fingerprint::Fingerprint;
use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{Database, Pool};
use std::error::Error as StdError;
use std::time::Duration;

/// Whether this transaction is the one that does the work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a transaction that did not record the request must not do the work"]
pub enum Recorded {
    /// The row is this transaction's: do the work in it and commit.
    New,
    /// Another transaction did the work: roll back and answer with its outcome.
    Before(Kept),
}

/// Outcomes of requests in a database, one row each; cheap to clone.
///
/// The row is written in the transaction of the work, so either both are there or neither, and the
/// table's primary key lets one transaction through for each request.
#[derive(Debug)]
pub struct SqlRecords<DB: Database> {
    pool: Pool<DB>,
    trail: Option<SqlTrail<DB>>,
}

impl<DB: Database> Clone for SqlRecords<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), trail: self.trail.clone() }
    }
}

impl<DB: Database> SqlRecords<DB> {
    /// Outcomes kept in the database of `pool`, in the table `redis_idem_record`. It must be the
    /// database that the work writes to.
    #[must_use]
    pub fn new(pool: Pool<DB>) -> Self {
        Self { pool, trail: None }
    }

    /// Adds [`AuditEvent::Recorded`] to `trail` in the transaction of the work; a trail in another
    /// database would not commit with it. Not added unless set.
    #[must_use]
    pub fn audited(mut self, trail: SqlTrail<DB>) -> Self {
        self.trail = Some(trail);
        self
    }
}

const LOOKUP: &str = "SELECT fingerprint, outcome FROM redis_idem_record WHERE request = $1";

/// A row: the fingerprint and the outcome.
type Row = (Vec<u8>, Vec<u8>);

fn kept((fingerprint, outcome): Row) -> Result<Kept, sqlx::Error> {
    let fingerprint: [u8; 32] =
        fingerprint.try_into().map_err(|_| sqlx::Error::Decode("a fingerprint has 32 bytes".into()))?;
    Ok(Kept { fingerprint: Fingerprint::from_bytes(fingerprint), outcome: Bytes::from(outcome) })
}

/// The same for each database; sqlx cannot express it once for all.
macro_rules! records_of {
    ($DB:ty, $folder:literal, $now:literal) => {
        impl SqlRecords<$DB> {
            /// Creates the table and its index unless they are there, by the file `0001_redis_idem_record.sql`.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe.
            ///
            /// # If the reply is lost
            ///
            /// It may be there. Creating it again does no harm.
            pub async fn create_table(&self) -> Result<(), sqlx::Error> {
                const TABLE: &str = migration!($folder, "0001_redis_idem_record.sql");
                sqlx::raw_sql(TABLE).execute(&self.pool).await.map(drop)
            }

            /// Records the outcome in the caller's transaction, or says what was recorded before.
            /// `by` is the [`Claim`](crate::Claim) or [`Attempt`](crate::Attempt).
            ///
            /// # First in its transaction
            ///
            /// While another transaction holds the row, this one waits for it to end. Let it be the
            /// first statement, so that nothing has been done in vain, and on SQLite so that
            /// the transaction need not turn from reading to writing.
            ///
            /// # Errors
            ///
            /// Those of the database. The transaction is of no more use then.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: drop the transaction with it.
            ///
            /// # If the reply is lost
            ///
            /// The transaction is lost with its connection, and the row with it.
            pub async fn record<'a>(
                &self,
                transaction: &mut <$DB as Database>::Connection,
                by: impl Into<Author<'a>>,
                outcome: &[u8],
            ) -> Result<Recorded, sqlx::Error> {
                let by = by.into();
                const RECORD: &str = concat!(
                    "INSERT INTO redis_idem_record (request, fingerprint, outcome, recorded_at) ",
                    "VALUES ($1, $2, $3, ",
                    $now,
                    ") ON CONFLICT (request) DO NOTHING"
                );
                let recorded = sqlx::query(RECORD)
                    .bind(by.request)
                    .bind(&by.fingerprint.as_bytes()[..])
                    .bind(outcome)
                    .execute(&mut *transaction)
                    .await?;
                if recorded.rows_affected() == 0 {
                    let row: Row = sqlx::query_as(LOOKUP).bind(by.request).fetch_one(transaction).await?;
                    return kept(row).map(Recorded::Before);
                }
                if let Some(trail) = &self.trail {
                    trail.append_in(transaction, AuditEvent::Recorded, by).await?;
                }
                Ok(Recorded::New)
            }

            /// Deletes what was recorded longer ago than `age`, counted by the database's clock in
            /// whole seconds; answers how many. A request older than that may run again once Redis
            /// has forgotten it too.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it may have deleted them.
            ///
            /// # If the reply is lost
            ///
            /// They may be deleted. Asking again deletes the rest.
            pub async fn delete_older_than(&self, age: Duration) -> Result<u64, sqlx::Error> {
                const DELETE: &str =
                    concat!("DELETE FROM redis_idem_record WHERE recorded_at < ", $now, " - $1");
                let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                let deleted = sqlx::query(DELETE).bind(seconds).execute(&self.pool).await?;
                Ok(deleted.rows_affected())
            }
        }

        #[async_trait]
        impl DurableStore for SqlRecords<$DB> {
            async fn lookup(&self, request: &str) -> Result<Option<Kept>, Box<dyn StdError + Send + Sync>> {
                let row: Option<Row> =
                    sqlx::query_as(LOOKUP).bind(request).fetch_optional(&self.pool).await?;
                Ok(row.map(kept).transpose()?)
            }
        }
    };
}

for_each_database!(records_of);
