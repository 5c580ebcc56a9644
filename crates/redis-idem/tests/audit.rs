//! The audit trail: an entry for each step, in the transaction of the work where there is one, kept when
//! Redis has forgotten.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, Fragile, begin, end_lease, key_of, replayed, start};
use redis_idem::sql::{Recorded, SqlRecords, SqlTrail};
use redis_idem::{
    AuditEvent, AuditTrail, Author, Begin, Claim, Completion, Error, Fingerprint, Idempotency, Options,
    Release, Resolution, Resolved, Scope, Takeover,
};
use redis_patterns_core::Args;
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A database in memory: one connection, since each would have its own.
async fn sqlite() -> (SqlitePool, SqlTrail<sqlx::Sqlite>) {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let trail = SqlTrail::new(pool.clone());
    trail.create_table().await.unwrap();
    trail.create_table().await.unwrap();
    (pool, trail)
}

fn engine(t: &TestRedis, trail: Arc<dyn AuditTrail>, takeover: Takeover) -> Idempotency {
    let options = Options::new().audit(trail).takeover(takeover);
    Idempotency::with_options(t.redis.clone(), options).unwrap()
}

/// Names and attempts of the entries.
async fn trail_of(trail: &SqlTrail<sqlx::Sqlite>, request: &str) -> Vec<(&'static str, u32)> {
    let entries = trail.entries_of(request).await.unwrap();
    assert!(entries.windows(2).all(|pair| pair[0].number < pair[1].number && pair[0].at <= pair[1].at));
    entries.iter().map(|entry| (entry.event.name(), entry.attempt)).collect()
}

on_every_topology! {
    async fn each_step_leaves_its_entry(t: TestRedis) {
        let (_, trail) = sqlite().await;
        let requests = engine(&t, Arc::new(trail.clone()), Takeover::Rerun);
        let first = start(&requests, "k").await;
        let request = first.request().to_owned();
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
        assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
        end_lease(&t.redis, &request).await;
        let second = start(&requests, "k").await;
        assert_eq!(first.complete("late").await.unwrap(), Completion::Lost);
        assert_eq!(second.abandon().await.unwrap(), Release::Released);
        let third = start(&requests, "k").await;
        assert_eq!(third.complete("paid").await.unwrap(), Completion::Stored);
        for _ in 0..2 {
            assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
        }
        let told = [
            ("claimed", 1), ("mismatch", 1), ("taken_over", 2), ("lost", 1), ("abandoned", 2),
            ("taken_over", 3), ("completed", 3), ("replayed", 3), ("replayed", 3),
        ];
        assert_eq!(trail_of(&trail, &request).await, told);
        let entries = trail.entries_of(&request).await.unwrap();
        assert_eq!(entries[0].fingerprint, Fingerprint::of(BODY));
        assert_eq!(entries[1].fingerprint, Fingerprint::of("other"), "of the one that was refused");
        let released = start(&requests, "r").await;
        let request = released.request().to_owned();
        assert_eq!(released.release().await.unwrap(), Release::Released);
        assert_eq!(trail_of(&trail, &request).await, [("claimed", 1), ("released", 1)]);
    }

    async fn a_doubt_and_its_end_leave_their_entries(t: TestRedis) {
        let (_, trail) = sqlite().await;
        let requests = engine(&t, Arc::new(trail.clone()), Takeover::InDoubt);
        let request = start(&requests, "k").await.request().to_owned();
        end_lease(&t.redis, &request).await;
        for _ in 0..2 {
            assert!(matches!(begin(&requests, "k", BODY).await, Begin::InDoubt));
        }
        let found = Resolution::Done("found".into());
        let settled = requests.resolve(&Scope::tenant("acme"), "POST /pay", "k", found).await;
        assert_eq!(settled.unwrap(), Resolved::Settled);
        assert_eq!(trail_of(&trail, &request).await, [("claimed", 1), ("in_doubt", 1), ("resolved", 1)]);
    }

    async fn the_trail_outlives_the_record(t: TestRedis) {
        let (_, trail) = sqlite().await;
        let requests = engine(&t, Arc::new(trail.clone()), Takeover::Rerun);
        for _ in 0..2 {
            let claim = start(&requests, "k").await;
            let key = key_of(&t.redis, claim.request());
            let _ = claim.complete("paid").await.unwrap();
            t.redis.command::<()>("PEXPIREAT", &[&key], &Args::new().int(1)).await.unwrap();
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
        let request = start(&requests, "k").await.request().to_owned();
        let told = [("claimed", 1), ("completed", 1), ("claimed", 1), ("completed", 1), ("claimed", 1)];
        assert_eq!(trail_of(&trail, &request).await, told);
    }

    /// The entry of the work commits with the work, or not at all.
    async fn the_work_is_in_the_trail_if_and_only_if_it_was_done(t: TestRedis) {
        let (pool, trail) = sqlite().await;
        let records = SqlRecords::new(pool.clone()).audited(trail.clone());
        records.create_table().await.unwrap();
        let options = Options::new().audit(Arc::new(trail.clone())).durable(Arc::new(records.clone()));
        let requests = Idempotency::with_options(t.redis.clone(), options).unwrap();
        let claim = start(&requests, "k").await;
        let request = claim.request().to_owned();
        let record = async |claim: &Claim, commit: bool| {
            let mut transaction = pool.begin().await.unwrap();
            assert_eq!(records.record(&mut transaction, claim, b"paid").await.unwrap(), Recorded::New);
            if commit { transaction.commit().await.unwrap() } else { transaction.rollback().await.unwrap() }
        };
        record(&claim, false).await;
        assert_eq!(trail_of(&trail, &request).await, [("claimed", 1)]);
        record(&claim, true).await;
        // It dies here, and Redis forgets: the next one finds the outcome in the database.
        t.redis.command::<()>("DEL", &[&key_of(&t.redis, &request)], &Args::new()).await.unwrap();
        drop(claim);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
        let told = [("claimed", 1), ("recorded", 1), ("claimed", 1), ("restored", 1), ("replayed", 1)];
        assert_eq!(trail_of(&trail, &request).await, told);
    }

    async fn without_its_trail_nothing_runs_and_nothing_is_replayed(t: TestRedis) {
        let trail = Arc::new(Fragile::default());
        let requests = engine(&t, trail.clone(), Takeover::Rerun);
        let _ = start(&requests, "done").await.complete("paid").await.unwrap();
        let working = start(&requests, "working").await;
        trail.away.store(true, Ordering::SeqCst);
        let keys = t.keys().await.len();
        for key in ["done", "new"] {
            let asked = requests.begin(&Scope::tenant("acme"), "POST /pay", key, Fingerprint::of(BODY)).await;
            let Err(error @ Error::Audit(_)) = asked else { panic!("{key}: {asked:?}") };
            assert!(error.is_outage());
        }
        eventually("the claim is given back", || async { t.keys().await.len() == keys }).await;
        assert!(matches!(working.complete("paid").await, Err(Error::Audit(_))));
        trail.away.store(false, Ordering::SeqCst);
        assert_eq!(replayed(begin(&requests, "working", BODY).await), b"paid", "Redis has it all the same");
        assert_eq!(start(&requests, "new").await.attempt(), 1);
    }
}

const TOO_OLD: &str = "INSERT INTO redis_idem_audit (request, event, attempt, fingerprint, at) \
     SELECT request, event, attempt, fingerprint, at - 61 FROM redis_idem_audit";

/// What both databases must do: keep, refuse changes, delete by age. A macro, since their pools are of
/// different types.
macro_rules! keeps_and_deletes_by_age {
    ($pool:expr) => {
        let pool = $pool;
        let trail = SqlTrail::new(pool.clone());
        trail.create_table().await.unwrap();
        trail.create_table().await.unwrap();
        let by = Author { request: "r", fingerprint: Fingerprint::of("b"), attempt: u32::MAX };
        trail.append(AuditEvent::Claimed, by).await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        trail.append_in(&mut transaction, AuditEvent::Recorded, by).await.unwrap();
        transaction.rollback().await.unwrap();
        let kept = trail.entries_of("r").await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].event, kept[0].attempt), (AuditEvent::Claimed, u32::MAX));
        let changed = sqlx::query("UPDATE redis_idem_audit SET event = 'released'").execute(&pool).await;
        assert!(changed.unwrap_err().to_string().contains("are not changed"));
        sqlx::query(TOO_OLD).execute(&pool).await.unwrap();
        assert_eq!(trail.delete_older_than(Duration::from_secs(60)).await.unwrap(), 1);
        assert_eq!(trail.delete_older_than(Duration::MAX).await.unwrap(), 0);
        assert_eq!(trail.entries_of("r").await.unwrap(), kept);
    };
}

#[tokio::test]
async fn sqlite_keeps_entries_and_deletes_them_by_age() {
    keeps_and_deletes_by_age!(sqlite().await.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_entries_and_deletes_them_by_age() {
    let server = own::postgres().await;
    keeps_and_deletes_by_age!(PgPoolOptions::new().max_connections(2).connect(server.url()).await.unwrap());
}
