//! Sessions in Redis and in a database: who is logged in, and who was.

#![allow(clippy::unwrap_used)]

mod common;

use async_trait::async_trait;
use common::{log_in, value};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_session::sql::{SessionRecord, SqlSessions, State};
use redis_session::{
    Error, Event, LogIn, Login, Options, Revocation, Rotation, SessionId, SessionRecorder, Sessions, WhenFull,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// A database in memory: one connection, since each would have its own.
async fn sqlite() -> (SqlSessions<sqlx::Sqlite>, SqlitePool) {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let records = SqlSessions::new(pool.clone());
    records.create_table().await.unwrap();
    records.create_table().await.unwrap();
    (records, pool)
}

fn sessions(t: &TestRedis, recorder: impl SessionRecorder + 'static, options: Options) -> Sessions<u64> {
    Sessions::with_options(t.redis.clone(), options.recorder(Arc::new(recorder))).unwrap()
}

async fn state(records: &SqlSessions<sqlx::Sqlite>, id: &SessionId) -> State {
    records.find(id.reference()).await.unwrap().unwrap().state
}

/// What both databases answer to the life of two sessions.
macro_rules! lives {
    ($t:expr, $records:expr, $pool:expr) => {{
        let (records, pool) = ($records, $pool);
        let sessions = sessions(&$t, records.clone(), Options::new());
        let login = Login::of("42").device("phone\0");
        let LogIn::Begun(first) = sessions.log_in(login, &1).await.unwrap() else { panic!() };
        let nobody = sessions.create(&2).await.unwrap();
        let Rotation::Rotated(second) = sessions.rotate(&first, &3).await.unwrap() else { panic!() };
        let _ = sessions.extend(&second).await.unwrap();
        let of_user: Vec<SessionRecord> = records.of_user("42").await.unwrap();
        let states: Vec<_> = of_user.iter().map(|record| (record.session, record.state)).collect();
        assert_eq!(states.len(), 2, "{states:?}");
        assert!(states.contains(&(second.reference(), State::Active)), "{states:?}");
        assert!(states.contains(&(first.reference(), State::Rotated(second.reference()))), "{states:?}");
        assert!(of_user.iter().all(|record| record.device.starts_with("phone")));
        assert!(of_user.iter().all(|record| record.begun == of_user[0].begun));
        let nobodys = records.find(nobody.reference()).await.unwrap().unwrap();
        assert_eq!((nobodys.user, nobodys.state), (None, State::Active));
        assert_eq!(nobodys.ends.duration_since(nobodys.begun).unwrap(), HOUR / 2);
        // Half an hour later.
        let later = "UPDATE redis_session_record SET begun_at = begun_at - 1801, ends_at = ends_at - 1801";
        sqlx::query(later).execute(&pool).await.unwrap();
        let expired = records.find(second.reference()).await.unwrap().unwrap();
        assert_eq!((expired.state, expired.user.as_deref()), (State::Expired, Some("42")));
        // That the session lived on was not recorded, but Redis still found it: its end is recorded.
        assert_eq!(sessions.revoke(&second).await.unwrap(), Revocation::Revoked);
        assert_eq!(records.find(second.reference()).await.unwrap().unwrap().state, State::Revoked);
        // A log-out of a session that is over does not rewrite what was.
        $t.delete_keys().await;
        assert_eq!(sessions.revoke(&nobody).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(records.find(nobody.reference()).await.unwrap().unwrap().state, State::Expired);
        let third = log_in(&sessions, "42", &4).await;
        let fourth = log_in(&sessions, "42", &5).await;
        let _ = sessions.revoke_others(&third).await.unwrap();
        assert_eq!(records.find(fourth.reference()).await.unwrap().unwrap().state, State::Revoked);
        assert_eq!(records.find(third.reference()).await.unwrap().unwrap().state, State::Active);
        let _ = sessions.revoke_all("42").await.unwrap();
        assert_eq!(records.find(third.reference()).await.unwrap().unwrap().state, State::Revoked);
        assert_eq!(records.delete_older_than(HOUR).await.unwrap(), 0);
        let days = "UPDATE redis_session_record SET ends_at = ends_at - 86400";
        sqlx::query(days).execute(&pool).await.unwrap();
        assert_eq!(records.delete_older_than(HOUR).await.unwrap(), 5);
        assert_eq!(records.of_user("42").await.unwrap(), []);
        assert_eq!(records.find(third.reference()).await.unwrap(), None);
    }};
}

on_every_topology! {
    async fn a_life_is_recorded_in_sqlite(t: TestRedis) {
        let (records, pool) = sqlite().await;
        lives!(t, records, pool);
    }

    async fn what_makes_room_is_recorded_as_ended(t: TestRedis) {
        let (records, _) = sqlite().await;
        let one = Options::new().max_sessions(NonZeroU32::MIN, WhenFull::EndOldest);
        let sessions = sessions(&t, records.clone(), one);
        let (first, second) = (log_in(&sessions, "42", &1).await, log_in(&sessions, "42", &2).await);
        assert_eq!((state(&records, &first).await, state(&records, &second).await), (State::Revoked, State::Active));
    }

    async fn an_id_of_another_place_or_user_ends_no_record(t: TestRedis) {
        let (records, _) = sqlite().await;
        let sessions = sessions(&t, records.clone(), Options::new());
        let id = log_in(&sessions, "42", &1).await;
        let other = if id.expose().starts_with('0') { "1" } else { "0" };
        let elsewhere = SessionId::parse(&format!("{other}{}", &id.expose()[1..])).unwrap();
        assert_eq!(sessions.revoke(&elsewhere).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(state(&records, &id).await, State::Active);
        assert_eq!(sessions.revoke_listed("43", id.reference()).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(state(&records, &id).await, State::Active);
        assert_eq!(value(&sessions, &id).await, Some(1));
        assert_eq!(sessions.revoke_listed("42", id.reference()).await.unwrap(), Revocation::Revoked);
        assert_eq!(state(&records, &id).await, State::Revoked);
    }

    /// The rotation is recorded only after the end of all sessions was.
    async fn a_rotation_that_is_recorded_late_revives_nothing(t: TestRedis) {
        struct Late(SqlSessions<sqlx::Sqlite>, Sessions<u64>);
        #[async_trait]
        impl SessionRecorder for Late {
            async fn record(&self, event: Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                if matches!(event, Event::Rotated { .. }) {
                    let _ = self.1.revoke_all("42").await?;
                }
                self.0.record(event).await
            }
        }
        let (records, _) = sqlite().await;
        let prompt = sessions(&t, records.clone(), Options::new());
        let late = sessions(&t, Late(records.clone(), prompt), Options::new());
        let first = log_in(&late, "42", &1).await;
        let Rotation::Rotated(second) = late.rotate(&first, &2).await.unwrap() else { panic!() };
        assert_eq!(value(&late, &second).await, None);
        assert_eq!((state(&records, &first).await, state(&records, &second).await), (State::Revoked, State::Revoked));
    }

    async fn what_made_room_is_recorded_although_the_new_one_is_not(t: TestRedis) {
        struct NoneBegins(SqlSessions<sqlx::Sqlite>);
        #[async_trait]
        impl SessionRecorder for NoneBegins {
            async fn record(&self, event: Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                if matches!(event, Event::Begun { .. }) { Err("the table is full".into()) } else { self.0.record(event).await }
            }
        }
        let (records, _) = sqlite().await;
        let one = Options::new().max_sessions(NonZeroU32::MIN, WhenFull::EndOldest);
        let first = log_in(&sessions(&t, records.clone(), one.clone()), "42", &1).await;
        let broken = sessions(&t, NoneBegins(records.clone()), one);
        assert!(matches!(broken.log_in(Login::of("42"), &2).await, Err(Error::Recorder(_))));
        assert_eq!(value(&broken, &first).await, None);
        assert_eq!(state(&records, &first).await, State::Revoked);
    }

    async fn of_many_that_made_room_each_is_recorded_that_can_be(t: TestRedis) {
        struct FailsOnce(SqlSessions<sqlx::Sqlite>, AtomicBool);
        #[async_trait]
        impl SessionRecorder for FailsOnce {
            async fn record(&self, event: Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                if matches!(event, Event::Revoked { .. }) && !self.1.swap(true, Ordering::SeqCst) {
                    return Err("the connection was cut".into());
                }
                self.0.record(event).await
            }
        }
        let (records, _) = sqlite().await;
        let wide = sessions(&t, records.clone(), Options::new());
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(log_in(&wide, "42", &n).await);
        }
        let one = Options::new().max_sessions(NonZeroU32::MIN, WhenFull::EndOldest);
        let narrow = sessions(&t, FailsOnce(records.clone(), AtomicBool::new(false)), one);
        assert!(matches!(narrow.log_in(Login::of("42"), &9).await, Err(Error::Recorder(_))));
        assert_eq!(t.keys().await.iter().filter(|key| key.ends_with(":index")).count(), 0);
        let mut revoked = 0;
        for id in &ids {
            revoked += usize::from(state(&records, id).await == State::Revoked);
        }
        assert_eq!(revoked, 2);
    }

    async fn what_was_touched_ends_later(t: TestRedis) {
        let (records, pool) = sqlite().await;
        let sessions = sessions(&t, records.clone(), Options::new().idle(2 * HOUR).absolute(3 * HOUR));
        let id = sessions.create(&1).await.unwrap();
        let earlier = "UPDATE redis_session_record SET ends_at = begun_at - 1, deadline = begun_at + 3600";
        for touch in ["extend", "update", "modify"] {
            sqlx::query(earlier).execute(&pool).await.unwrap();
            assert_eq!(state(&records, &id).await, State::Expired);
            match touch {
                "extend" => drop(sessions.extend(&id).await.unwrap()),
                "update" => drop(sessions.update(&id, &2).await.unwrap()),
                _ => drop(sessions.modify(&id, |number| *number += 1).await.unwrap()),
            }
            let record = records.find(id.reference()).await.unwrap().unwrap();
            assert_eq!(record.state, State::Active, "{touch}");
            assert_eq!(record.ends.duration_since(record.begun).unwrap(), HOUR, "not past its deadline");
        }
    }

    async fn what_cannot_be_recorded_is_not_used(t: TestRedis) {
        struct Broken(Arc<AtomicBool>);
        #[async_trait]
        impl SessionRecorder for Broken {
            async fn record(&self, _: Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                if self.0.load(Ordering::SeqCst) { Err("the database is away".into()) } else { Ok(()) }
            }
        }
        let away = Arc::new(AtomicBool::new(true));
        let sessions = sessions(&t, Broken(away.clone()), Options::new().touch_after_percent(0));
        assert!(matches!(sessions.create(&1).await, Err(Error::Recorder(_))));
        assert!(matches!(sessions.log_in(Login::of("42"), &1).await, Err(Error::Recorder(_))));
        assert_eq!(t.keys().await, Vec::<String>::new());
        away.store(false, Ordering::SeqCst);
        let id = log_in(&sessions, "42", &1).await;
        let stepping_up = log_in(&sessions, "42", &2).await;
        away.store(true, Ordering::SeqCst);
        assert_eq!(value(&sessions, &id).await, Some(1), "a database that is away logs nobody out");
        assert!(matches!(sessions.rotate(&stepping_up, &3).await, Err(Error::Recorder(_))));
        assert_eq!(sessions.list("42").await.unwrap().len(), 1, "an id that nobody knows takes a place");
        assert!(matches!(sessions.revoke(&id).await, Err(Error::Recorder(_))));
        assert_eq!(value(&sessions, &id).await, None, "it is gone all the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_recorded_in_postgres() {
    let Some(t) = TestRedis::standalone().await else { return };
    let server = own::postgres().await;
    let pool = PgPoolOptions::new().max_connections(4).connect(server.url()).await.unwrap();
    let records = SqlSessions::new(pool.clone());
    records.create_table().await.unwrap();
    records.create_table().await.unwrap();
    lives!(t, records, pool);
    t.delete_keys().await;
}
