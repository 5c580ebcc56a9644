//! Outcomes in Postgres and SQLite (feature `sqlx`), written in the transaction of the work.
//!
//! ```no_run
//! use redis_idem::sql::{Recorded, SqlRecords};
//! use redis_idem::{Begin, Fingerprint, Idempotency, Options, Redis, Scope};
//! use std::sync::Arc;
//!
//! # async fn example(redis: Redis, pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
//! let records = SqlRecords::new(pool.clone());
//! records.create_table().await?;
//! let options = Options::new().durable(Arc::new(records.clone()));
//! let requests = Idempotency::with_options(redis, options)?;
//!
//! if let Begin::Started(claim) = requests.begin(&Scope::tenant("acme"), "pay", "k", Fingerprint::of("10")).await? {
//!     let mut transaction = pool.begin().await?;
//!     match records.record(&mut transaction, &claim, b"paid").await? {
//!         Recorded::New => {
//!             sqlx::query("INSERT INTO payments (amount) VALUES (10)").execute(&mut *transaction).await?;
//!             transaction.commit().await?;
//!             let _ = claim.complete("paid").await?;
//!         }
//!         Recorded::Before(kept) => {
//!             transaction.rollback().await?;
//!             let _ = claim.complete(kept.outcome).await?;
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`SqlTrail`] keeps the audit trail of [`Options::audit`](crate::Options::audit) in the same databases.
//!
//! # The tables
//!
//! `create_table` runs the numbered files in the crate's folder `migrations`, one for each table. A service that keeps
//! its own migrations (`sqlx::migrate!`) copies them among its files and gives them numbers of its own; they do no harm
//! where the tables are there already.

/// Calls a macro for each database with the words in which they differ: the folder of its migrations, and the time now
/// in seconds.
macro_rules! for_each_database {
    ($of:ident) => {
        $of!(sqlx::Postgres, "postgres", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)");
        $of!(sqlx::Sqlite, "sqlite", "unixepoch()");
    };
}

/// The text of a migration.
macro_rules! migration {
    ($database:literal, $file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $database, "/", $file))
    };
}

mod records;
mod trail;

pub use records::{Recorded, SqlRecords};
pub use trail::{AuditEntry, SqlTrail};
