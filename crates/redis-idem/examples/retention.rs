//! The retention command: deletes what was recorded longer ago than so many days, for a nightly job.
//!
//! ```text
//! cargo run -p redis-idem --example retention --features sqlx -- sqlite://payments.sqlite 400
//! ```

use redis_idem::sql::{SqlRecords, SqlTrail};
use sqlx::{PgPool, SqlitePool};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(url), Some(days)) = (words.next(), words.next()) else {
        return Err("retention <database url> <days>".into());
    };
    let age = Duration::from_secs(24 * 3_600 * days.parse::<u64>()?);
    let [entries, outcomes] = if url.starts_with("sqlite:") {
        let pool = SqlitePool::connect(&url).await?;
        let trail = SqlTrail::new(pool.clone()).delete_older_than(age).await?;
        [trail, SqlRecords::new(pool).delete_older_than(age).await?]
    } else {
        let pool = PgPool::connect(&url).await?;
        let trail = SqlTrail::new(pool.clone()).delete_older_than(age).await?;
        [trail, SqlRecords::new(pool).delete_older_than(age).await?]
    };
    println!("deleted {entries} entries of the audit trail and {outcomes} outcomes older than {days} days");
    Ok(())
}
