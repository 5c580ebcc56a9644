//! The table of the audit trail.

use crate::audit::{AuditEvent, AuditTrail};
use crate::durable::Author;
use crate::fingerprint::Fingerprint;
use async_trait::async_trait;
use sqlx::{Database, Pool};
use std::error::Error as StdError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One line of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// The number of the entry. Numbers rise and some are left out; of two transactions at once, the
    /// one with the lower number may commit later.
    pub number: i64,
    /// What happened.
    pub event: AuditEvent,
    /// In which attempt.
    pub attempt: u32,
    /// The fingerprint of the request that was sent.
    pub fingerprint: Fingerprint,
    /// When, by the database's clock, in whole seconds.
    pub at: SystemTime,
}

/// The audit trail in a database, in the table `redis_idem_audit`; cheap to clone.
///
/// Entries are added, read, and deleted by age; a trigger in the database refuses to change one.
/// To keep the service itself from deleting, grant it INSERT and SELECT only, and run the
/// deletion as another user.
///
/// ```
/// use redis_idem::sql::{SqlRecords, SqlTrail};
/// use redis_idem::{AuditEvent, AuditTrail, Author, Fingerprint};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// let trail = SqlTrail::new(pool);
/// trail.create_table().await?;
/// let by = Author { request: "5e1f", fingerprint: Fingerprint::of("{}"), attempt: 1 };
/// trail.append(AuditEvent::Claimed, by).await?;
/// trail.append(AuditEvent::Completed, by).await?;
/// let events: Vec<_> = trail.entries_of("5e1f").await?.iter().map(|entry| entry.event).collect();
/// assert_eq!(events, [AuditEvent::Claimed, AuditEvent::Completed]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqlTrail<DB: Database> {
    pool: Pool<DB>,
}

impl<DB: Database> Clone for SqlTrail<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<DB: Database> SqlTrail<DB> {
    /// A trail in the database of `pool`.
    #[must_use]
    pub fn new(pool: Pool<DB>) -> Self {
        Self { pool }
    }
}

/// A row: number, event, attempt, fingerprint, seconds since 1970.
type Row = (i64, String, i64, Vec<u8>, i64);

fn entry((number, event, attempt, fingerprint, at): Row) -> Result<AuditEntry, sqlx::Error> {
    let bad = |what: &'static str| sqlx::Error::Decode(what.into());
    Ok(AuditEntry {
        number,
        event: AuditEvent::of_name(&event).ok_or_else(|| bad("an event of a newer version"))?,
        attempt: u32::try_from(attempt).map_err(|_| bad("an attempt has 32 bits"))?,
        fingerprint: Fingerprint::from_bytes(
            fingerprint.try_into().map_err(|_| bad("a fingerprint has 32 bytes"))?,
        ),
        at: UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0)),
    })
}

/// The same for each database; sqlx cannot express it once for all.
macro_rules! trail_of {
    ($DB:ty, $folder:literal, $now:literal) => {
        impl SqlTrail<$DB> {
            /// Creates the table, its indexes and the trigger unless they are there, by the file
            /// `0002_redis_idem_audit.sql`.
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
                const TABLE: &str = migration!($folder, "0002_redis_idem_audit.sql");
                sqlx::raw_sql(TABLE).execute(&self.pool).await.map(drop)
            }

            /// Adds an entry in the caller's transaction, so that it commits with it or not at all.
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
            /// The transaction is lost with its connection, and the entry with it.
            pub async fn append_in(
                &self,
                transaction: &mut <$DB as Database>::Connection,
                event: AuditEvent,
                by: Author<'_>,
            ) -> Result<(), sqlx::Error> {
                const APPEND: &str = concat!(
                    "INSERT INTO redis_idem_audit (request, event, attempt, fingerprint, at) ",
                    "VALUES ($1, $2, $3, $4, ",
                    $now,
                    ")"
                );
                sqlx::query(APPEND)
                    .bind(by.request)
                    .bind(event.name())
                    .bind(i64::from(by.attempt))
                    .bind(&by.fingerprint.as_bytes()[..])
                    .execute(transaction)
                    .await
                    .map(drop)
            }

            /// What became of a request ([`Claim::request`](crate::Claim::request)), oldest first.
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
            /// Nothing was changed: ask again.
            pub async fn entries_of(&self, request: &str) -> Result<Vec<AuditEntry>, sqlx::Error> {
                const ENTRIES: &str = "SELECT number, event, attempt, fingerprint, at \
                     FROM redis_idem_audit WHERE request = $1 ORDER BY number";
                let rows: Vec<Row> = sqlx::query_as(ENTRIES).bind(request).fetch_all(&self.pool).await?;
                rows.into_iter().map(entry).collect()
            }

            /// Deletes the entries that are older than `age`, counted by the database's clock in
            /// whole seconds; answers how many. It deletes 10,000 in one transaction, and then the next.
            ///
            /// # Errors
            ///
            /// Those of the database; some may have been deleted.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: some may have been deleted.
            ///
            /// # If the reply is lost
            ///
            /// Some may be deleted. Asking again deletes the rest.
            pub async fn delete_older_than(&self, age: Duration) -> Result<u64, sqlx::Error> {
                const DELETE: &str = concat!(
                    "DELETE FROM redis_idem_audit WHERE number IN (SELECT number FROM redis_idem_audit ",
                    "WHERE at < ",
                    $now,
                    " - $1 LIMIT 10000)"
                );
                let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                let mut deleted = 0;
                loop {
                    let some = sqlx::query(DELETE).bind(seconds).execute(&self.pool).await?;
                    if some.rows_affected() == 0 {
                        return Ok(deleted);
                    }
                    deleted += some.rows_affected();
                }
            }
        }

        #[async_trait]
        impl AuditTrail for SqlTrail<$DB> {
            async fn append(
                &self,
                event: AuditEvent,
                by: Author<'_>,
            ) -> Result<(), Box<dyn StdError + Send + Sync>> {
                let mut connection = self.pool.acquire().await?;
                Ok(self.append_in(&mut connection, event, by).await?)
            }
        }
    };
}

for_each_database!(trail_of);
