//! Fences kept in Postgres and SQLite (feature `sqlx`), checked in the transaction of the write.
//!
//! A function that writes what a lock protects takes `&mut Fenced<'_, DB>`: that type is made only
//! by a check that passed, so an unfenced write does not compile.
//!
//! ```no_run
//! use redis_lock::sql::{Checked, Fenced, SqlFences};
//! use redis_lock::LockGuard;
//! use sqlx::Sqlite;
//!
//! async fn take_one(stock: &mut Fenced<'_, Sqlite>) -> Result<(), sqlx::Error> {
//!     sqlx::query("UPDATE stock SET count = count - 1").execute(&mut **stock).await?;
//!     Ok(())
//! }
//!
//! # async fn example(pool: sqlx::SqlitePool, guard: LockGuard) -> Result<(), Box<dyn std::error::Error>> {
//! let fences = SqlFences::new(pool);
//! match fences.begin("stock", guard.fence()?).await? {
//!     Checked::Admitted(mut transaction) => {
//!         take_one(&mut transaction).await?;
//!         transaction.commit().await?;
//!     }
//!     Checked::Stale { highest } => println!("fence {highest} was seen: somebody else is at work"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A plain transaction is not enough:
//!
//! ```compile_fail,E0308
//! # use redis_lock::sql::Fenced;
//! # use sqlx::Sqlite;
//! # async fn take_one(stock: &mut Fenced<'_, Sqlite>) {}
//! # async fn example(pool: sqlx::SqlitePool) -> Result<(), sqlx::Error> {
//! let mut transaction = pool.begin().await?;
//! take_one(&mut transaction).await;
//! # Ok(())
//! # }
//! ```

mod fenced;
mod fences;

pub use fenced::{Checked, Fenced};
pub use fences::SqlFences;
