//! The table of fences.

use super::fenced::{Checked, Fenced};
use crate::downstream::{FenceStore, Verdict};
use crate::fence::FencingToken;
use sqlx::{Database, Pool, Postgres, Sqlite, Transaction};

/// Postgres and SQLite both know it. The row stays locked until the transaction ends, so nobody
/// with another fence can come between this check and the commit.
const CHECK: &str = "INSERT INTO redis_lock_fence (resource, token) VALUES ($1, $2) \
     ON CONFLICT (resource) DO UPDATE SET token = excluded.token \
     WHERE excluded.token >= redis_lock_fence.token \
     RETURNING token";
const HIGHEST: &str = "SELECT token FROM redis_lock_fence WHERE resource = $1";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS redis_lock_fence \
     (resource TEXT NOT NULL PRIMARY KEY, token BIGINT NOT NULL)";

/// The fences of a database: one row for each resource, with the highest token seen; cheap to
/// clone.
///
/// Rows are never deleted: a row that is gone would admit every late holder.
#[derive(Debug)]
pub struct SqlFences<DB: Database> {
    pool: Pool<DB>,
}

impl<DB: Database> Clone for SqlFences<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<DB: Database> SqlFences<DB> {
    /// Fences kept in the database of `pool`, in the table `redis_lock_fence`. It must be the
    /// database of the data that they guard.
    #[must_use]
    pub fn new(pool: Pool<DB>) -> Self {
        Self { pool }
    }
}

/// The same statements for each database; sqlx cannot express them once for all.
macro_rules! fences_of {
    ($DB:ty) => {
        impl SqlFences<$DB> {
            /// Creates the table unless it is there: `resource TEXT PRIMARY KEY, token BIGINT`.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe.
            pub async fn create_table(&self) -> Result<(), sqlx::Error> {
                sqlx::query(TABLE).execute(&self.pool).await.map(drop)
            }

            /// Begins a transaction and checks the fence as its first statement.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: the transaction is rolled back.
            pub async fn begin(
                &self,
                resource: &str,
                fence: FencingToken,
            ) -> Result<Checked<Fenced<'static, $DB>>, sqlx::Error> {
                self.admit(self.pool.begin().await?, resource, fence).await
            }

            /// Checks the fence in a transaction of the caller's own, before it writes; rolls it
            /// back if the fence is stale.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: the transaction is rolled back.
            pub async fn admit<'c>(
                &self,
                mut transaction: Transaction<'c, $DB>,
                resource: &str,
                fence: FencingToken,
            ) -> Result<Checked<Fenced<'c, $DB>>, sqlx::Error> {
                let kept: Option<(i64,)> = sqlx::query_as(CHECK)
                    .bind(resource)
                    .bind(i64::from(fence))
                    .fetch_optional(&mut *transaction)
                    .await?;
                if kept.is_some() {
                    return Ok(Checked::Admitted(Fenced::new(transaction)));
                }
                let (highest,): (i64,) =
                    sqlx::query_as(HIGHEST).bind(resource).fetch_one(&mut *transaction).await?;
                transaction.rollback().await?;
                let highest = u64::try_from(highest).ok().and_then(FencingToken::new);
                let highest =
                    highest.ok_or_else(|| sqlx::Error::Decode("the stored token is no fence".into()))?;
                Ok(Checked::Stale { highest })
            }
        }

        impl FenceStore for SqlFences<$DB> {
            type Error = sqlx::Error;

            async fn seal(&self, resource: &str, fence: FencingToken) -> Result<Verdict, sqlx::Error> {
                match self.begin(resource, fence).await? {
                    Checked::Admitted(transaction) => {
                        transaction.commit().await?;
                        Ok(Verdict::Admitted)
                    }
                    Checked::Stale { highest } => Ok(Verdict::Stale { highest }),
                }
            }
        }
    };
}

fences_of!(Postgres);
fences_of!(Sqlite);
