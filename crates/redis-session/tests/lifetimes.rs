//! The deadline of a session, which nothing moves, and the change of its id.

#![allow(clippy::unwrap_used)]

mod common;

use common::value;
use redis_patterns_core::{Clock, Redis, TestClock};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{Options, Revocation, Rotation, SessionId, Sessions, Update};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const START_US: i64 = 1_800_000_000_000_000;

/// Sessions of 30 idle minutes within two hours, by a clock that the test moves.
async fn sessions(t: &TestRedis) -> (Sessions<u64>, TestClock) {
    let clock = TestClock::at_micros(START_US);
    let builder = Redis::builder(t.url()).namespace(t.redis.namespace().clone());
    let redis = Box::pin(builder.clock(Clock::Injected(clock.clone())).connect()).await.unwrap();
    let options = Options::new().idle(30 * MINUTE).absolute(120 * MINUTE);
    (Sessions::with_options(redis, options).unwrap(), clock)
}

fn rotated(rotation: Rotation) -> SessionId {
    match rotation {
        Rotation::Rotated(id) => id,
        Rotation::Gone => panic!("the session is gone"),
    }
}

on_every_topology! {
    async fn use_does_not_carry_a_session_past_its_deadline(t: TestRedis) {
        let (sessions, clock) = sessions(&t).await;
        let id = sessions.create(&1).await.unwrap();
        for _ in 0..11 {
            clock.advance(10 * MINUTE);
            assert_eq!(value(&sessions, &id).await, Some(1));
            assert_eq!(sessions.update(&id, &1).await.unwrap(), Update::Updated);
        }
        // Ten minutes are left, so no more than that is given.
        let key = t.keys().await.remove(0);
        assert!(t.ttl_ms(&key).await <= 600_000);
        assert_eq!(value(&sessions, &id).await, Some(1));
        assert!(t.ttl_ms(&key).await <= 600_000);
        clock.advance(10 * MINUTE);
        assert_eq!(sessions.update(&id, &2).await.unwrap(), Update::Gone);
        assert_eq!(sessions.rotate(&id, &2).await.unwrap(), Rotation::Gone);
        assert_eq!(value(&sessions, &id).await, None);
        assert_eq!(t.keys().await, Vec::<String>::new(), "a session past its deadline is cleared away");
    }

    async fn a_rotation_does_not_move_the_deadline(t: TestRedis) {
        let (sessions, clock) = sessions(&t).await;
        let mut id = sessions.create(&1).await.unwrap();
        for _ in 0..11 {
            clock.advance(10 * MINUTE);
            id = rotated(sessions.rotate(&id, &1).await.unwrap());
        }
        assert!(t.ttl_ms(&t.keys().await[0]).await <= 600_000);
        clock.advance(10 * MINUTE);
        assert_eq!(value(&sessions, &id).await, None);
    }

    async fn a_deadline_shorter_than_the_idle_time_counts_from_the_start(t: TestRedis) {
        let options = Options::new().idle(30 * MINUTE).absolute(MINUTE);
        let sessions = Sessions::<u64>::with_options(t.redis.clone(), options).unwrap();
        let id = sessions.create(&1).await.unwrap();
        assert_eq!(value(&sessions, &id).await, Some(1));
        assert!((1..=60_000).contains(&t.ttl_ms(&t.keys().await[0]).await));
    }

    async fn a_rotated_session_has_the_new_id_alone(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let planted = sessions.create(&1).await.unwrap();
        let id = rotated(sessions.rotate(&planted, &2).await.unwrap());
        assert_ne!(id, planted);
        assert_eq!(value(&sessions, &id).await, Some(2));
        assert_eq!(value(&sessions, &planted).await, None);
        assert_eq!(sessions.update(&planted, &3).await.unwrap(), Update::Gone);
        assert_eq!(sessions.rotate(&planted, &3).await.unwrap(), Rotation::Gone);
        assert_eq!(sessions.revoke(&planted).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(value(&sessions, &id).await, Some(2));
        assert_eq!(t.keys().await.len(), 1);
    }

    /// Two requests of one browser rotate at the same time: one has the session, the other none.
    async fn of_many_rotations_at_once_one_has_the_session(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = sessions.create(&0).await.unwrap();
        let tasks: Vec<_> = (1..=8).map(|value| {
            let (sessions, id) = (sessions.clone(), id.clone());
            tokio::spawn(async move { sessions.rotate(&id, &value).await.unwrap() })
        }).collect();
        let mut ids = Vec::new();
        for task in tasks {
            if let Rotation::Rotated(id) = task.await.unwrap() {
                ids.push(id);
            }
        }
        assert_eq!((ids.len(), t.keys().await.len()), (1, 1));
        assert!(sessions.load(&ids[0]).await.unwrap().is_some());
    }

    /// A log-out meets a rotation: whichever comes first, the session is gone or has one id.
    async fn a_log_out_and_a_rotation_leave_one_truth(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        for _ in 0..20 {
            let id = sessions.create(&0).await.unwrap();
            let (rotation, revocation) = tokio::join!(sessions.rotate(&id, &1), sessions.revoke(&id));
            match (rotation.unwrap(), revocation.unwrap()) {
                (Rotation::Rotated(new), Revocation::AlreadyGone) => {
                    assert_eq!(value(&sessions, &new).await, Some(1));
                    let _ = sessions.revoke(&new).await.unwrap();
                }
                (Rotation::Gone, Revocation::Revoked) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(t.keys().await, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_rotation_whose_reply_is_lost_is_one_rotation() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let sessions = Sessions::<u64>::new(through.redis.clone());
    let warm = sessions.create(&0).await.unwrap();
    let _ = rotated(sessions.rotate(&warm, &0).await.unwrap());
    let id = sessions.create(&1).await.unwrap();
    proxy.lose_replies(2, Match::Command("EVALSHA"));
    let new = rotated(sessions.rotate(&id, &2).await.unwrap());
    assert_eq!(proxy.counts().lost_replies, 2, "the fault did not happen");
    assert_eq!(value(&sessions, &new).await, Some(2));
    assert_eq!(value(&sessions, &id).await, None);
    through.delete_keys().await;
}
