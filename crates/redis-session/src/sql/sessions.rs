//! The table of sessions.

use super::records::{Row, SessionRecord, record};
use crate::id::SessionRef;
use crate::recorder::{Event, SessionRecorder};
use crate::sessions::Revocation;
use async_trait::async_trait;
use sqlx::{Database, Pool, Postgres, Sqlite};
use std::error::Error as StdError;
use std::time::Duration;

/// Sessions in a database, one row for each id; cheap to clone.
///
/// A session whose last uses could not be [recorded](Event::Touched) has expired here while it lives
/// in Redis: `revoke_all` and `revoke_others` end it there and leave it expired here, and only a
/// revocation of its own is recorded still. The same holds within a second of its end.
///
/// The table holds names of users and devices: delete what is [older](Self::delete_older_than) than
/// you may keep.
#[derive(Debug)]
pub struct SqlSessions<DB: Database> {
    pool: Pool<DB>,
}

impl<DB: Database> Clone for SqlSessions<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<DB: Database> SqlSessions<DB> {
    /// Sessions recorded in the database of `pool`, in the table `redis_session_record`.
    #[must_use]
    pub fn new(pool: Pool<DB>) -> Self {
        Self { pool }
    }
}

/// Both databases know these words. `ended_by` is null while nobody ended the session.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS redis_session_record (\
     session TEXT NOT NULL PRIMARY KEY, user_name TEXT, device TEXT NOT NULL, \
     begun_at BIGINT NOT NULL, ends_at BIGINT NOT NULL, deadline BIGINT NOT NULL, \
     ended_by TEXT, successor TEXT)";
const USERS: &str = "CREATE INDEX IF NOT EXISTS redis_session_record_user \
     ON redis_session_record (user_name, begun_at)";
const AGES: &str = "CREATE INDEX IF NOT EXISTS redis_session_record_age ON redis_session_record (ends_at)";

/// Rounded up; the database's time is whole seconds too, so an end is told to a second.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// The same for each database; sqlx cannot express it once for all, and they differ in two words:
/// the time now in seconds, and the smaller of two.
macro_rules! sessions_of {
    ($DB:ty, $now:literal, $least:literal) => {
        impl SqlSessions<$DB> {
            /// Creates the table and its indexes unless they are there.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe.
            pub async fn create_table(&self) -> Result<(), sqlx::Error> {
                for statement in [TABLE, USERS, AGES] {
                    sqlx::query(statement).execute(&self.pool).await?;
                }
                Ok(())
            }

            /// The sessions of a user, the last begun at the front, also those that are over.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it only reads.
            pub async fn of_user(&self, user: &str) -> Result<Vec<SessionRecord>, sqlx::Error> {
                const OF_USER: &str =
                    concat!(select!($now), " WHERE user_name = $1 ORDER BY begun_at DESC, ends_at DESC");
                let rows: Vec<Row> = sqlx::query_as(OF_USER).bind(user).fetch_all(&self.pool).await?;
                rows.into_iter().map(record).collect()
            }

            /// One session, also if it is over; `None` if it was never recorded or was deleted.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it only reads.
            pub async fn find(&self, session: SessionRef) -> Result<Option<SessionRecord>, sqlx::Error> {
                const FIND: &str = concat!(select!($now), " WHERE session = $1");
                let row: Option<Row> =
                    sqlx::query_as(FIND).bind(session.to_string()).fetch_optional(&self.pool).await?;
                row.map(record).transpose()
            }

            /// Deletes sessions that ended longer ago than `age`; answers how many.
            ///
            /// # Errors
            ///
            /// Those of the database.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it may have deleted them.
            pub async fn delete_older_than(&self, age: Duration) -> Result<u64, sqlx::Error> {
                const DELETE: &str =
                    concat!("DELETE FROM redis_session_record WHERE ends_at < ", $now, " - $1");
                let deleted = sqlx::query(DELETE).bind(seconds(age)).execute(&self.pool).await?;
                Ok(deleted.rows_affected())
            }

            async fn write(&self, event: Event<'_>) -> Result<(), sqlx::Error> {
                const BEGUN: &str = concat!(
                    "INSERT INTO redis_session_record ",
                    "(session, user_name, device, begun_at, ends_at, deadline) VALUES ($1, $2, $3, ",
                    $now,
                    ", ",
                    $now,
                    " + ",
                    $least,
                    "($4, $5), ",
                    $now,
                    " + $5)"
                );
                const TOUCHED: &str = concat!(
                    "UPDATE redis_session_record SET ends_at = ",
                    $least,
                    "(deadline, ",
                    $now,
                    " + $2) ",
                    "WHERE session = $1 AND ended_by IS NULL"
                );
                const REVOKED: &str = concat!(
                    revoke!($now),
                    " AND session = $1 AND ($2 IS NULL OR user_name = $2) AND ($3 OR ends_at > ",
                    $now,
                    ")"
                );
                const ALL: &str = concat!(revoke!($now), " AND ends_at > ", $now, " AND user_name = $1");
                const OTHERS: &str = concat!(
                    revoke!($now),
                    " AND ends_at > ",
                    $now,
                    " AND session <> $1 AND user_name = ",
                    "(SELECT user_name FROM redis_session_record WHERE session = $1)"
                );
                let query = match event {
                    Event::Begun { session, user, device, idle, absolute } => sqlx::query(BEGUN)
                        .bind(session.to_string())
                        .bind(user.map(str::to_owned))
                        // Postgres stores no NUL in a text.
                        .bind(device.replace('\0', ""))
                        .bind(seconds(idle))
                        .bind(seconds(absolute)),
                    Event::Touched { session, idle } => {
                        sqlx::query(TOUCHED).bind(session.to_string()).bind(seconds(idle))
                    }
                    Event::Rotated { from, to, idle } => return self.rotated(from, to, idle).await,
                    Event::Revoked { session, user, met } => sqlx::query(REVOKED)
                        .bind(session.to_string())
                        .bind(user.map(str::to_owned))
                        .bind(met == Revocation::Revoked),
                    Event::RevokedAll { user } => sqlx::query(ALL).bind(user.to_owned()),
                    Event::RevokedOthers { kept } => sqlx::query(OTHERS).bind(kept.to_string()),
                };
                query.execute(&self.pool).await.map(drop)
            }

            async fn rotated(
                &self,
                from: SessionRef,
                to: SessionRef,
                idle: Duration,
            ) -> Result<(), sqlx::Error> {
                // What was revoked before this was recorded stays so, under either id.
                const NEXT: &str = concat!(
                    "INSERT INTO redis_session_record ",
                    "(session, user_name, device, begun_at, ends_at, deadline, ended_by) ",
                    "SELECT $2, user_name, device, begun_at, ",
                    "CASE ended_by WHEN 'revoked' THEN ends_at ELSE ",
                    $least,
                    "(deadline, ",
                    $now,
                    " + $3) END, deadline, CASE ended_by WHEN 'revoked' THEN ended_by END ",
                    "FROM redis_session_record WHERE session = $1"
                );
                const ENDED: &str = concat!(
                    "UPDATE redis_session_record SET ended_by = 'rotated', successor = $2, ends_at = ",
                    $now,
                    " WHERE session = $1 AND ended_by IS NULL"
                );
                let (from, to) = (from.to_string(), to.to_string());
                let mut both = self.pool.begin().await?;
                sqlx::query(ENDED).bind(&from).bind(&to).execute(&mut *both).await?;
                sqlx::query(NEXT).bind(&from).bind(&to).bind(seconds(idle)).execute(&mut *both).await?;
                both.commit().await
            }
        }

        #[async_trait]
        impl SessionRecorder for SqlSessions<$DB> {
            async fn record(&self, event: Event<'_>) -> Result<(), Box<dyn StdError + Send + Sync>> {
                Ok(self.write(event).await?)
            }
        }
    };
}

/// Rows, with how each ended by now.
macro_rules! select {
    ($now:literal) => {
        concat!(
            "SELECT session, user_name, device, begun_at, ends_at, ",
            "COALESCE(ended_by, CASE WHEN ends_at <= ",
            $now,
            " THEN 'expired' ELSE 'active' END), successor FROM redis_session_record"
        )
    };
}

/// Ends what nobody ended before.
macro_rules! revoke {
    ($now:literal) => {
        concat!(
            "UPDATE redis_session_record SET ended_by = 'revoked', ends_at = ",
            $now,
            " WHERE ended_by IS NULL"
        )
    };
}

sessions_of!(Postgres, "CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)", "LEAST");
sessions_of!(Sqlite, "unixepoch()", "MIN");
