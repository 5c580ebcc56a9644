//! The count in SQLite.

#![allow(clippy::unwrap_used)]

#[macro_use]
#[path = "downstream/sql.rs"]
mod sql;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Pool, Sqlite};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

sql_downstream!(Sqlite);

async fn connect(place: &str) -> Pool<Sqlite> {
    let options = SqliteConnectOptions::new()
        .filename(place)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(30));
    SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
}

/// A file that is gone after the test.
struct Place(PathBuf);

impl Place {
    async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("redis-lock-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let place = Self(folder.join("stock.sqlite"));
        prepare(place.url()).await;
        place
    }

    fn url(&self) -> &str {
        self.0.as_os_str().to_str().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
