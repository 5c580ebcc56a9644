//! Outcomes in Redis and in a database: what Redis forgets costs a query, not a second effect.

#![allow(clippy::unwrap_used)]

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::{BODY, Fragile, begin, end_lease, key_of, replayed, start};
use redis_idem::sql::{Recorded, SqlRecords, SqlTrail};
use redis_idem::{
    Author, Begin, Claim, Completion, DurableStore, Error, Fingerprint, Idempotency, Kept, Options, Takeover,
};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A database in memory: one connection, since each would have its own.
async fn sqlite() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    SqlRecords::new(pool.clone()).create_table().await.unwrap();
    pool
}

fn engine(t: &TestRedis, store: Arc<dyn DurableStore>, takeover: Takeover) -> Idempotency {
    let options = Options::new().durable(store).takeover(takeover);
    Idempotency::with_options(t.redis.clone(), options).unwrap()
}

/// Does the work of a claim in the database and not in Redis, as if the worker died in between.
async fn commit(pool: &SqlitePool, claim: &Claim, outcome: &[u8]) -> Recorded {
    let mut transaction = pool.begin().await.unwrap();
    let records = SqlRecords::new(pool.clone());
    let recorded = records.record(&mut transaction, claim, outcome).await.unwrap();
    transaction.commit().await.unwrap();
    recorded
}

async fn forget(t: &TestRedis, request: &str) {
    t.redis.command::<()>("DEL", &[&key_of(&t.redis, request)], &Args::new()).await.unwrap();
}

on_every_topology! {
    async fn what_redis_forgot_is_replayed_and_told_to_redis_again(t: TestRedis) {
        let pool = sqlite().await;
        let requests = engine(&t, Arc::new(SqlRecords::new(pool.clone())), Takeover::Rerun);
        let claim = start(&requests, "k").await;
        let request = claim.request().to_owned();
        assert_eq!(commit(&pool, &claim, b"paid").await, Recorded::New);
        assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
        forget(&t, &request).await;
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
        // An engine without the store knows it now as well.
        let without = Idempotency::new(t.redis.clone());
        assert_eq!(replayed(begin(&without, "k", BODY).await), b"paid");
    }

    async fn another_body_is_refused_also_after_redis_forgot(t: TestRedis) {
        let pool = sqlite().await;
        let requests = engine(&t, Arc::new(SqlRecords::new(pool.clone())), Takeover::Rerun);
        let claim = start(&requests, "k").await;
        let _ = commit(&pool, &claim, b"paid").await;
        forget(&t, claim.request()).await;
        for _ in 0..2 {
            assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
        }
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
    }

    /// A worker that died after its commit: the store knows, whatever the policy for the abandoned.
    async fn a_commit_that_redis_never_heard_of_is_replayed(t: TestRedis) {
        for policy in [Takeover::Rerun, Takeover::InDoubt] {
            let pool = sqlite().await;
            let key = format!("{policy:?}");
            let requests = engine(&t, Arc::new(SqlRecords::new(pool.clone())), policy);
            let died = start(&requests, &key).await;
            let _ = commit(&pool, &died, b"paid").await;
            end_lease(&t.redis, died.request()).await;
            assert_eq!(replayed(begin(&requests, &key, BODY).await), b"paid");
        }
    }

    async fn what_nobody_knows_is_treated_as_abandoned(t: TestRedis) {
        let pool = sqlite().await;
        let requests = engine(&t, Arc::new(SqlRecords::new(pool.clone())), Takeover::InDoubt);
        end_lease(&t.redis, start(&requests, "a").await.request()).await;
        assert!(matches!(begin(&requests, "a", BODY).await, Begin::InDoubt));
        let requests = engine(&t, Arc::new(SqlRecords::new(pool)), Takeover::Rerun);
        end_lease(&t.redis, start(&requests, "b").await.request()).await;
        assert_eq!(start(&requests, "b").await.attempt(), 2);
    }

    async fn of_two_runs_one_commits_and_the_other_learns_its_outcome(t: TestRedis) {
        let pool = sqlite().await;
        let requests = engine(&t, Arc::new(SqlRecords::new(pool.clone())), Takeover::Rerun);
        let first = start(&requests, "k").await;
        forget(&t, first.request()).await;
        let second = start(&requests, "k").await;
        assert_eq!(commit(&pool, &second, b"second").await, Recorded::New);
        let outcome = Bytes::from("second");
        let before = Recorded::Before(Kept { fingerprint: Fingerprint::of(BODY), outcome: outcome.clone() });
        assert_eq!(commit(&pool, &first, b"first").await, before);
        assert_eq!(first.complete(outcome.clone()).await.unwrap(), Completion::Lost);
        assert_eq!(second.complete(outcome).await.unwrap(), Completion::Stored);
    }

    async fn a_store_that_cannot_be_asked_lets_nothing_run_and_leaves_nothing(t: TestRedis) {
        let requests = engine(&t, Arc::new(Fragile { away: true.into() }), Takeover::Rerun);
        let asked = requests.begin(&redis_idem::Scope::Global, "op", "k", Fingerprint::of("")).await;
        let Err(error @ Error::Durable(_)) = asked else { panic!("{asked:?}") };
        assert!(error.is_outage());
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !t.keys().await.is_empty() {
            assert!(std::time::Instant::now() < deadline, "the claim stayed");
        }
    }
}

#[tokio::test]
async fn sqlite_rolls_the_row_back_with_the_work_and_deletes_the_old() {
    let pool = sqlite().await;
    let records = SqlRecords::new(pool.clone());
    records.create_table().await.unwrap();
    let fingerprint = Fingerprint::of("b");
    let by = move |request| Author { request, fingerprint, attempt: 1 };
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(records.record(&mut transaction, by("r"), b"x").await.unwrap(), Recorded::New);
    transaction.rollback().await.unwrap();
    assert_eq!(records.lookup("r").await.unwrap(), None);
    let mut transaction = pool.begin().await.unwrap();
    let _ = records.record(&mut transaction, by("r"), b"x").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(records.delete_older_than(Duration::from_secs(60)).await.unwrap(), 0);
    sqlx::query("UPDATE redis_idem_record SET recorded_at = recorded_at - 61").execute(&pool).await.unwrap();
    assert_eq!(records.delete_older_than(Duration::from_secs(60)).await.unwrap(), 1);
    assert_eq!(records.lookup("r").await.unwrap(), None);
}

/// The files that `create_table` runs, as the migrations of a service: with the tables there or not.
async fn migrate<'c, C>(pool: C, database: &str)
where
    C: sqlx::Acquire<'c>,
    <C::Connection as std::ops::Deref>::Target: sqlx::migrate::Migrate,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let migrator = Migrator::new(folder).await.unwrap();
    assert_eq!(migrator.iter().map(|migration| migration.version).collect::<Vec<_>>(), [1, 2]);
    migrator.run(pool).await.unwrap();
}

#[tokio::test]
async fn a_service_may_run_the_migrations_itself() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    migrate(&pool, "sqlite").await;
    let (records, trail) = (SqlRecords::new(pool.clone()), SqlTrail::new(pool.clone()));
    let by = Author { request: "r", fingerprint: Fingerprint::of("b"), attempt: 1 };
    records.create_table().await.unwrap();
    trail.create_table().await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let recorded = records.audited(trail.clone()).record(&mut transaction, by, b"x").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((recorded, trail.entries_of("r").await.unwrap().len()), (Recorded::New, 1));
    let changed = sqlx::query("UPDATE redis_idem_audit SET attempt = 2").execute(&pool).await;
    assert!(changed.unwrap_err().to_string().contains("not changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_one_of_two_transactions_at_once() {
    let server = own::postgres().await;
    let pool = PgPoolOptions::new().max_connections(4).connect(server.url()).await.unwrap();
    let records = SqlRecords::new(pool.clone());
    records.create_table().await.unwrap();
    migrate(&pool, "postgres").await;
    SqlTrail::new(pool.clone()).create_table().await.unwrap();
    let fingerprint = Fingerprint::of("b");
    let by = move |request| Author { request, fingerprint, attempt: 1 };
    let mut first = pool.begin().await.unwrap();
    assert_eq!(records.record(&mut first, by("r"), b"first").await.unwrap(), Recorded::New);
    let waiting = tokio::spawn({
        let (records, pool) = (records.clone(), pool.clone());
        async move {
            let mut second = pool.begin().await.unwrap();
            records.record(&mut second, by("r"), b"second").await.unwrap()
        }
    });
    // The second waits for the row of the first.
    let blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&pool).await.unwrap() == 0 {
        assert!(std::time::Instant::now() < deadline, "the second did not wait");
    }
    first.commit().await.unwrap();
    let before = Recorded::Before(Kept { fingerprint, outcome: Bytes::from("first") });
    assert_eq!(waiting.await.unwrap(), before);
    assert_eq!(records.lookup("r").await.unwrap().unwrap().outcome, "first");
    sqlx::query("UPDATE redis_idem_record SET recorded_at = recorded_at - 61").execute(&pool).await.unwrap();
    assert_eq!(records.delete_older_than(Duration::from_secs(60)).await.unwrap(), 1);
}

/// What the database knows is known, also when Redis goes away before it is told again.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_was_found_is_replayed_although_redis_went_away() {
    struct TheLastToAnswer(Proxy);
    #[async_trait]
    impl DurableStore for TheLastToAnswer {
        async fn lookup(&self, _: &str) -> Result<Option<Kept>, Box<dyn std::error::Error + Send + Sync>> {
            self.0.refuse();
            self.0.cut_all();
            Ok(Some(Kept { fingerprint: Fingerprint::of(BODY), outcome: Bytes::from("paid") }))
        }
    }
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let options = Options::new().durable(Arc::new(TheLastToAnswer(proxy)));
    let redis = through.redis.with_deadline(Duration::from_millis(100));
    let requests = Idempotency::with_options(redis, options).unwrap();
    assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
}
