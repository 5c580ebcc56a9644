//! The count in Postgres.

#![allow(clippy::unwrap_used)]

#[macro_use]
#[path = "downstream/sql.rs"]
mod sql;

use redis_patterns_testkit::servers;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Pool, Postgres};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

sql_downstream!(Postgres);

async fn connect(place: &str) -> Pool<Postgres> {
    PgPoolOptions::new().max_connections(4).connect(place).await.unwrap()
}

/// A database of its own on the server that all tests of this process share.
struct Place(String);

impl Place {
    async fn new() -> Self {
        static SERVER: OnceLock<servers::Postgres> = OnceLock::new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let start = || SERVER.get_or_init(|| servers::Postgres::start().unwrap()).url().to_owned();
        let url = tokio::task::spawn_blocking(start).await.unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("redis_lock_{}_{number}", std::process::id());
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&connect(&url).await).await.unwrap();
        let (server, _) = url.rsplit_once('/').unwrap();
        let place = Self(format!("{server}/{name}"));
        prepare(place.url()).await;
        place
    }

    fn url(&self) -> &str {
        &self.0
    }
}
