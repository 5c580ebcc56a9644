//! The count in Postgres, its fence checked in the transaction of the write.

#![allow(clippy::unwrap_used)]

mod downstream;

use downstream::{NAME, Stock};
use redis_lock::sql::{Checked, Fenced, SqlFences};
use redis_lock::{FenceStore, FencingToken, Redis, Verdict};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Pool, Postgres};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

struct Database {
    pool: Pool<Postgres>,
    fences: SqlFences<Postgres>,
}

/// Takes what only a passed check makes.
async fn set(stock: &mut Fenced<'_, Postgres>, count: i64) {
    sqlx::query("UPDATE stock SET count = $1").bind(count).execute(&mut **stock).await.unwrap();
}

impl FenceStore for Database {
    type Error = sqlx::Error;

    async fn seal(&self, resource: &str, fence: FencingToken) -> Result<Verdict, sqlx::Error> {
        self.fences.seal(resource, fence).await
    }
}

impl Stock for Database {
    async fn open(place: &str, _: &Redis) -> Self {
        let pool = connect(place).await;
        Self { fences: SqlFences::new(pool.clone()), pool }
    }

    async fn read(&self) -> i64 {
        let (count,) = sqlx::query_as("SELECT count FROM stock").fetch_one(&self.pool).await.unwrap();
        count
    }

    async fn write(&self, fence: FencingToken, count: i64) -> bool {
        let Checked::Admitted(mut transaction) = self.fences.begin(NAME, fence).await.unwrap() else {
            return false;
        };
        set(&mut transaction, count).await;
        transaction.commit().await.unwrap();
        true
    }
}

/// The tables of a new, empty database.
async fn prepare(place: &str) {
    let pool = connect(place).await;
    let fences = SqlFences::new(pool.clone());
    // Twice: it may be there already.
    fences.create_table().await.unwrap();
    fences.create_table().await.unwrap();
    for statement in ["CREATE TABLE stock (count BIGINT NOT NULL)", "INSERT INTO stock VALUES (0)"] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
}

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

#[test]
fn worker() {
    downstream::worker::<Database>();
}

on_every_topology! {
    async fn a_stopped_holder_is_refused(t: TestRedis) {
        let place = Place::new().await;
        downstream::a_stopped_holder_is_refused::<Database>(&t, place.url()).await;
    }

    async fn only_a_seal_stops_a_write_between_read_and_write(t: TestRedis) {
        let place = Place::new().await;
        downstream::only_a_seal_stops_a_write_between_read_and_write::<Database>(&t, place.url()).await;
    }

    async fn a_lock_whose_fence_was_lost_heals(t: TestRedis) {
        let place = Place::new().await;
        downstream::a_lock_whose_fence_was_lost_heals::<Database>(&t, place.url()).await;
    }

    async fn equal_fences_pass_and_the_highest_stays(t: TestRedis) {
        let place = Place::new().await;
        downstream::equal_fences_pass_and_the_highest_stays::<Database>(&t, place.url()).await;
    }

    /// Other resources, and a transaction that is not committed, leave no trace.
    async fn a_fence_counts_for_its_resource_and_with_its_commit(t: TestRedis) {
        let place = Place::new().await;
        let database = Database::open(place.url(), &t.redis).await;
        let fence = |number| FencingToken::new(number).unwrap();
        let begun = database.fences.begin("a", fence(9)).await.unwrap();
        begun.admitted().unwrap().rollback().await.unwrap();
        assert!(database.fences.seal("a", fence(3)).await.unwrap().is_admitted());
        assert!(database.fences.seal("b", fence(1)).await.unwrap().is_admitted());
        drop(database.fences.begin("a", fence(8)).await.unwrap().admitted().unwrap());
        assert_eq!(database.fences.seal("a", fence(2)).await.unwrap(), Verdict::Stale { highest: fence(3) });
    }
}
