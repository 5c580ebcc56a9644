//! Sessions recorded in Postgres and SQLite (feature `sqlx`).
//!
//! Redis says who is logged in. The database says who was: from where, since when, until when, and
//! why it ended. It never learns an id.
//!
//! ```no_run
//! use redis_session::sql::{SqlSessions, State};
//! use redis_session::{Login, Options, Redis, Sessions};
//! use std::sync::Arc;
//!
//! # async fn example(redis: Redis, pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
//! let records = SqlSessions::new(pool);
//! records.create_table().await?;
//! let options = Options::new().recorder(Arc::new(records.clone()));
//! let sessions = Sessions::<String>::with_options(redis, options)?;
//!
//! let _ = sessions.log_in(Login::of("42").device("phone"), &"ann".to_owned()).await?;
//! sessions.revoke_all("42").await?;
//! assert_eq!(records.of_user("42").await?[0].state, State::Revoked);
//! # Ok(())
//! # }
//! ```

mod records;
mod sessions;

pub use records::{SessionRecord, State};
pub use sessions::SqlSessions;
