//! Waiting without pub/sub, and giving back by one native command where the server has it.

#![allow(clippy::unwrap_used)]

mod common;

use common::Room;
use redis_lock::{Error, LockOptions, Locks, Redis, Released, TryLock};
use redis_patterns_core::{Args, BootInstant, Key, Tag};
use redis_patterns_testkit::faults::stats;
use redis_patterns_testkit::harness::{TestRedis, own, skip};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::{Backend, Launcher, Options, ServerChoice, Standalone};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn polled(redis: &Redis, lease: Duration) -> Locks {
    let options = LockOptions::new().lease(lease).unwrap();
    Locks::new(redis.clone(), options.polled_every(Duration::from_millis(20)).unwrap())
}

fn key(redis: &Redis, name: &str) -> Key {
    redis.namespace().key("lock", &Tag::of(name))
}

on_every_topology! {
    async fn a_crowd_that_polls_is_served_one_at_a_time(t: TestRedis) {
        let locks = polled(&t.redis, HOUR);
        let room = Room::default();
        let tasks: Vec<_> = (0..8).map(|_| {
            let (locks, room) = (locks.clone(), room.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let guard = locks.lock("a", PATIENCE).await.unwrap().acquired().unwrap();
                    room.visit().await;
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
            })
        }).collect();
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    }

    async fn who_polls_leaves_no_trace_and_finds_a_dead_holders_end(t: TestRedis) {
        let locks = polled(&t.redis, HOUR);
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let answer = locks.lock("a", Duration::from_millis(50)).await.unwrap();
        assert!(matches!(answer, TryLock::Busy { .. }));
        assert_eq!(t.keys().await.len(), 2, "only the lock and its fence");
        let waiting = tokio::spawn({ let locks = locks.clone(); async move { locks.lock("a", PATIENCE).await } });
        t.redis.command::<()>("DEL", &[&key(&t.redis, "a")], &Args::new()).await.unwrap();
        let next = waiting.await.unwrap().unwrap().acquired().unwrap();
        assert_eq!(guard.release().await.unwrap(), Released::Lapsed);
        assert_eq!(next.release().await.unwrap(), Released::InTime);
    }

    /// What a polling handle frees, one that queues finds within a second.
    async fn who_queues_is_not_stranded_by_one_that_polls(t: TestRedis) {
        let (polls, queues) = (polled(&t.redis, HOUR), Locks::new(t.redis.clone(), LockOptions::new()));
        let guard = polls.try_lock("a").await.unwrap().acquired().unwrap();
        let waiting = tokio::spawn({ let locks = queues.clone(); async move { locks.lock("a", PATIENCE).await } });
        redis_patterns_testkit::harness::eventually("it queues", async || {
            queues.inspect("a").await.unwrap().waiting == 1
        }).await;
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
        assert!(waiting.await.unwrap().unwrap().acquired().is_some());
    }
}

#[test]
fn waits_out_of_range_are_refused() {
    for every in [Duration::ZERO, Duration::from_micros(999), Duration::from_secs(61), Duration::MAX] {
        assert!(matches!(LockOptions::new().polled_every(every), Err(Error::Options(_))), "{every:?}");
    }
}

/// Every way a lock can stand when it is given back, and what is left of it afterwards.
async fn give_back_in_every_state(redis: &Redis) -> Vec<(Released, Option<String>)> {
    let locks = polled(redis, HOUR);
    let mut seen = Vec::new();
    for state in ["held", "gone", "another's", "raised", "another type"] {
        let lock = key(redis, state);
        let guard = locks.try_lock(state).await.unwrap().acquired().unwrap();
        match state {
            "gone" => redis.command::<()>("DEL", &[&lock], &Args::new()).await.unwrap(),
            "another's" => {
                let args = Args::new().bytes("other:7").word("PX").int(60_000);
                redis.command::<()>("SET", &[&lock], &args).await.unwrap();
            }
            // The guard gives back under the fence it has now.
            "raised" => drop(guard.raise_fence(guard.fence().unwrap()).await.unwrap()),
            "another type" => {
                redis.command::<()>("DEL", &[&lock], &Args::new()).await.unwrap();
                redis.command::<()>("LPUSH", &[&lock], &Args::new().bytes("x")).await.unwrap();
                let failed = guard.release().await;
                assert!(matches!(failed, Err(Error::Redis(error)) if error.code() == Some("WRONGTYPE")));
                redis.command::<()>("DEL", &[&lock], &Args::new()).await.unwrap();
                continue;
            }
            _ => {}
        }
        let released = guard.release().await.unwrap();
        seen.push((released, redis.command("GET", &[&lock], &Args::new()).await.unwrap()));
    }
    seen
}

/// Started by its choice; `None` if this machine cannot have it.
async fn server(choice: ServerChoice) -> Option<Standalone> {
    let start = move || {
        let launcher = Launcher::find(&choice, Backend::Auto)?;
        Standalone::start_with(&launcher, &Options::new())
    };
    match tokio::task::spawn_blocking(start).await.unwrap() {
        Ok(server) => Some(server),
        Err(error) => {
            skip("a_native_release_does_what_the_script_does", &error.to_string());
            None
        }
    }
}

/// Valkey 9 has DELIFEQ, the server of the other tests may have no such command: the script does the
/// same there. The path of Redis 8.4 (DELEX) is the same but for the words; no server here has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_native_release_does_what_the_script_does() {
    let Some(native) = server(ServerChoice::Valkey9).await else { return };
    let Some(plain) = server(ServerChoice::Redis7).await else { return };
    let (on_native, on_plain) =
        (Redis::connect(native.url()).await.unwrap(), Redis::connect(plain.url()).await.unwrap());
    assert!(on_native.supports("DELIFEQ").await.unwrap() && !on_plain.supports("DELIFEQ").await.unwrap());
    let expected = give_back_in_every_state(&on_plain).await;
    let other = Some("other:7".to_owned());
    assert_eq!(expected[..2], [(Released::InTime, None), (Released::Lapsed, None)]);
    assert_eq!(expected[2..], [(Released::Lapsed, other), (Released::InTime, None)]);
    assert_eq!(give_back_in_every_state(&on_native).await, expected);

    // One native command, probed before; no script.
    let locks = polled(&on_native, HOUR);
    let guard = locks.try_lock("count").await.unwrap().acquired().unwrap();
    let (released, cost) =
        stats::round_trips(&[native.url()], async || guard.release().await.unwrap()).await.unwrap();
    assert_eq!((released, cost.sent.total(), cost.sent.of("DELIFEQ")), (Released::InTime, 1, 1));
}

/// Alone on its server: an uncontended cycle costs two requests here, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_native_command_a_cycle_is_two_scripts() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    if redis.supports("DELIFEQ").await.unwrap() || redis.supports("DELEX").await.unwrap() {
        return skip("without_a_native_command_a_cycle_is_two_scripts", "this server has one");
    }
    let locks = polled(&redis, HOUR);
    let cycle = async || {
        let started = BootInstant::now();
        let guard = locks.lock("a", PATIENCE).await.unwrap().acquired().unwrap();
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
        assert!(started.elapsed() < PATIENCE);
    };
    cycle().await;
    let ((), cost) = stats::round_trips(&[server.url()], cycle).await.unwrap();
    assert_eq!((cost.sent.total(), cost.sent.of("EVALSHA")), (2, 2), "{cost:?}");
}
