//! Every script run twice with the same arguments, as after a lost reply.

mod common;

use common::{ask, key};
use redis_patterns_core::{Args, FromReply as _, Key, Redis, Script, Value};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!("queue/", $name), include_str!(concat!("../src/scripts/", $name, ".lua")))
    };
}

const WORKER: &str = "00000000000000000000000000000001";

struct Keys {
    pending: Key,
    processing: Key,
    leases: Key,
    graves: Key,
    beats: Key,
    delayed: Key,
    dead: Key,
    wake: Key,
    alive: Key,
}

fn keys(redis: &Redis) -> Keys {
    let part = |name: &str| key(redis, "q", name);
    Keys {
        pending: part("pending"),
        processing: part(&format!("processing.{WORKER}")),
        leases: part("leases"),
        graves: part("graves"),
        beats: part("beats"),
        delayed: part("delayed"),
        dead: part("dead"),
        wake: part("wake"),
        alive: part(&format!("alive.{WORKER}")),
    }
}

/// An envelope by hand, as another language would write it.
fn envelope(number: u8) -> Vec<u8> {
    let mut job = vec![0xA7, 1, 0, 0];
    job.extend([number; 16]);
    job.extend([0; 12]);
    job.extend(b"payload");
    job
}

fn ints(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().map(|&number| Value::Int(number)).collect())
}

/// Sets a clock of its own, in microseconds, so that answers do not depend on the moment.
const NOW_US: i64 = 1_000_000_000;
const NOW_MS: i64 = NOW_US / 1_000;

async fn twice(redis: &Redis, script: &Script, keys: &[&Key], args: Args) -> (Value, Value) {
    (redis.run(script, keys, &args).await.unwrap(), redis.run(script, keys, &args).await.unwrap())
}

async fn join(t: &TestRedis, keys: &Keys) {
    let args = Args::new().int(NOW_US).bytes(WORKER).int(5_000);
    let (first, second) = twice(&t.redis, &script!("join"), &[&keys.leases], args).await;
    assert_eq!((first, second), (Value::Int(1), Value::Int(1)));
}

/// One worker that holds the jobs 1 to `count`, the newest at the left.
async fn holding(t: &TestRedis, count: u8) -> Keys {
    let keys = keys(&t.redis);
    join(t, &keys).await;
    for number in 1..=count {
        ask::<()>(&t.redis, "LPUSH", &keys.processing, Args::new().bytes(envelope(number))).await;
    }
    keys
}

async fn len(t: &TestRedis, list: &Key) -> u64 {
    ask(&t.redis, "LLEN", list, Args::new()).await
}

on_every_topology! {
    async fn push_adds_again_up_to_the_most(t: TestRedis) {
        let keys = keys(&t.redis);
        let args = Args::new().int(3).bytes(envelope(1)).bytes(envelope(2));
        let (first, second) = twice(&t.redis, &script!("push"), &[&keys.pending], args).await;
        assert_eq!((first, second), (ints(&[1, 2]), ints(&[0, 2])));
    }

    async fn push_unique_adds_once(t: TestRedis) {
        let (keys, unique) = (keys(&t.redis), key(&t.redis, "q", "unique.x"));
        let args = Args::new().int(0).int(60_000).bytes([1; 16]).bytes(envelope(1));
        let (first, second) = twice(&t.redis, &script!("push_unique"), &[&keys.pending, &unique], args).await;
        let reply = |code| Value::Array(vec![Value::Int(code), Value::Int(1), Value::Bytes(vec![1; 16].into())]);
        assert_eq!((first, second), (reply(1), reply(2)));
        assert_eq!(len(&t, &keys.pending).await, 1);
    }

    async fn schedule_at_a_time_changes_nothing_the_second_time(t: TestRedis) {
        let keys = keys(&t.redis);
        let args = Args::new().int(NOW_US).int(0).int(NOW_MS + 5).bytes(envelope(1));
        let (first, second) = twice(&t.redis, &script!("schedule"), &[&keys.delayed, &keys.wake], args).await;
        assert_eq!((first, second), (ints(&[1, 1]), ints(&[1, 1])));
    }

    async fn promote_moves_each_job_once(t: TestRedis) {
        let keys = keys(&t.redis);
        for (number, due) in [(1, NOW_MS - 1), (2, NOW_MS), (3, NOW_MS + 7)] {
            ask::<()>(&t.redis, "ZADD", &keys.delayed, Args::new().int(due).bytes(envelope(number))).await;
        }
        let args = Args::new().int(NOW_US).int(500);
        let (first, second) = twice(&t.redis, &script!("promote"), &[&keys.delayed, &keys.pending], args).await;
        assert_eq!((first, second), (ints(&[2, 7]), ints(&[0, 7])));
        let next: bytes::Bytes = ask(&t.redis, "LINDEX", &keys.pending, Args::new().int(-1)).await;
        assert_eq!(next, envelope(1), "the earliest is the next");
    }

    async fn beat_renews_again(t: TestRedis) {
        let keys = holding(&t, 2).await;
        let all = [&keys.leases, &keys.processing, &keys.delayed, &keys.beats, &keys.graves, &keys.alive];
        let args = Args::new().int(NOW_US).bytes(WORKER).int(5_000).int(700).int(1_000);
        let (first, second) = twice(&t.redis, &script!("beat"), &all, args).await;
        assert_eq!((first, second), (ints(&[1, 2, 0, -1, 0, 0]), ints(&[1, 2, 0, -1, 0, 0])));
        let late = Args::new().int(NOW_US + 5_000_001).bytes(WORKER).int(5_000).int(700).int(1_000);
        let (first, second) = twice(&t.redis, &script!("beat"), &all, late).await;
        assert_eq!((first, second), (ints(&[0, 2, 1, -1, 0, 0]), ints(&[0, 2, 1, -1, 0, 0])), "a lease that is over stays over");
    }

    async fn take_takes_more_the_second_time_and_nothing_without_a_lease(t: TestRedis) {
        let keys = holding(&t, 0).await;
        for number in 1..=3 {
            ask::<()>(&t.redis, "LPUSH", &keys.pending, Args::new().bytes(envelope(number))).await;
        }
        let all = [&keys.leases, &keys.pending, &keys.processing];
        let late = Args::new().int(NOW_US + 5_000_001).bytes(WORKER).int(2);
        let (first, second) = twice(&t.redis, &script!("take"), &all, late).await;
        let none = Value::Array(vec![Value::Int(0), Value::Int(3), Value::Array(vec![])]);
        assert_eq!((first, second), (none.clone(), none));
        let args = Args::new().int(NOW_US).bytes(WORKER).int(2);
        let jobs = |numbers: &[u8]| {
            Value::Array(numbers.iter().map(|&number| Value::Bytes(envelope(number).into())).collect())
        };
        let (first, second) = twice(&t.redis, &script!("take"), &all, args).await;
        assert_eq!(first, Value::Array(vec![Value::Int(1), Value::Int(1), jobs(&[1, 2])]));
        assert_eq!(second, Value::Array(vec![Value::Int(1), Value::Int(0), jobs(&[3])]));
        let held: Vec<bytes::Bytes> = ask(&t.redis, "LRANGE", &keys.processing, Args::new().int(0).int(-1)).await;
        assert_eq!(held, [envelope(3), envelope(2), envelope(1)], "the newest at the left");
    }

    async fn ack_says_not_there_the_second_time(t: TestRedis) {
        let keys = holding(&t, 3).await;
        let args = Args::new().bytes(WORKER).bytes(envelope(1)).bytes(envelope(3));
        let (first, second) = twice(&t.redis, &script!("ack"), &[&keys.leases, &keys.processing], args).await;
        assert_eq!(first, Value::Array(vec![Value::Int(1), ints(&[1, 1])]));
        assert_eq!(second, Value::Array(vec![Value::Int(1), ints(&[0, 0])]));
        assert_eq!(len(&t, &keys.processing).await, 1);
    }

    async fn release_retry_and_bury_move_a_job_once(t: TestRedis) {
        let keys = holding(&t, 3).await;
        let done = (ints(&[1, 1]), ints(&[1, 0]));
        let args = Args::new().bytes(WORKER).bytes(envelope(1)).bytes(envelope(1));
        let all = [&keys.leases, &keys.processing, &keys.pending];
        assert_eq!(twice(&t.redis, &script!("release"), &all, args).await, done);
        let args = Args::new().int(NOW_US).bytes(WORKER).bytes(envelope(2)).bytes(envelope(2)).int(10);
        let all = [&keys.leases, &keys.processing, &keys.delayed];
        assert_eq!(twice(&t.redis, &script!("retry"), &all, args).await, done);
        let args = Args::new().bytes(WORKER).bytes(envelope(3)).bytes(envelope(3)).bytes("why").int(100);
        let all = [&keys.leases, &keys.processing, &keys.dead];
        assert_eq!(twice(&t.redis, &script!("bury"), &all, args).await, done);
        assert_eq!((len(&t, &keys.pending).await, len(&t, &keys.processing).await), (1, 0));
        assert_eq!(ask::<u64>(&t.redis, "ZCARD", &keys.delayed, Args::new()).await, 1);
        assert_eq!(ask::<u64>(&t.redis, "XLEN", &keys.dead, Args::new()).await, 1);
    }

    async fn reap_goes_on_where_it_was_and_returns_each_job_once(t: TestRedis) {
        let keys = holding(&t, 5).await;
        let all = [&keys.leases, &keys.graves, &keys.processing, &keys.pending, &keys.dead, &keys.beats, &keys.alive];
        let reap = |now_us: i64| Args::new().int(now_us).bytes(WORKER).int(1).int(3).int(1_000).int(9).int(100);
        let (first, second) = twice(&t.redis, &script!("reap"), &all, reap(NOW_US)).await;
        assert_eq!((first, second), (ints(&[0, 0, 5, 0]), ints(&[0, 0, 5, 0])), "its lease is not over");
        let (first, second) = twice(&t.redis, &script!("reap"), &all, reap(NOW_US + 5_000_000)).await;
        assert_eq!((first, second), (ints(&[1, 3, 2, 0]), ints(&[1, 2, 0, 0])));
        let order: Vec<bytes::Bytes> = ask(&t.redis, "LRANGE", &keys.pending, Args::new().int(0).int(-1)).await;
        assert_eq!(order.iter().rev().map(|job| job[4]).collect::<Vec<_>>(), [1, 2, 3, 4, 5], "the oldest is the next");
        assert!(order.iter().all(|job| job[20..26] == [0, 1, 0, 0, 0, 1]), "one more delivery, one loss");
        let (first, second) = twice(&t.redis, &script!("reap"), &all, reap(NOW_US + 9_000_000)).await;
        assert_eq!((first, second), (ints(&[1, 0, 0, 0]), ints(&[1, 0, 0, 0])));
        assert_eq!(t.keys().await, [keys.pending.as_str()], "a grave that stayed empty is forgotten");
    }

    async fn a_process_that_is_seen_is_not_taken_for_gone(t: TestRedis) {
        let keys = holding(&t, 1).await;
        let all = [&keys.leases, &keys.graves, &keys.processing, &keys.pending, &keys.dead, &keys.beats, &keys.alive];
        let reap = |now_us: i64| Args::new().int(now_us).bytes(WORKER).int(4).int(3).int(1_000).int(9).int(100);
        let alive = (ints(&[0, 0, 1, 0]), ints(&[0, 0, 1, 0]));
        assert_eq!(twice(&t.redis, &script!("reap"), &all, reap(NOW_US)).await, alive, "it promised nothing");
        ask::<()>(&t.redis, "ZADD", &keys.beats, Args::new().int(NOW_MS).bytes(WORKER)).await;
        let subscription = t.redis.subscribe(&keys.alive).await.unwrap();
        assert_eq!(twice(&t.redis, &script!("reap"), &all, reap(NOW_US)).await, alive, "it is late, but there");
        drop(subscription);
        common::eventually("the server has seen it leave", || async {
            t.redis.run::<(i64, i64, i64, i64)>(&script!("reap"), &all, &reap(NOW_US)).await.unwrap() == (1, 1, 0, 0)
        }).await;
    }

    async fn replay_puts_a_dead_letter_back_once(t: TestRedis) {
        let keys = keys(&t.redis);
        let letter: String = ask(&t.redis, "XADD", &keys.dead, Args::new().word("*").word("job").bytes(envelope(1))).await;
        let args = Args::new().bytes(letter).bytes(envelope(1));
        let (first, second) = twice(&t.redis, &script!("replay"), &[&keys.dead, &keys.pending], args).await;
        assert_eq!((first, second), (ints(&[1]), ints(&[0])));
        assert_eq!(len(&t, &keys.pending).await, 1);
    }
}

on_every_topology! {
    async fn report_twice_notes_the_same_and_an_earlier_hand_out_nothing(t: TestRedis) {
        let result = key(&t.redis, "q", "result.1");
        let report = |delivery: i64, state: &'static str, value: &'static str| {
            Args::new().int(delivery).word(state).word(value).int(60_000)
        };
        let (first, second) = twice(&t.redis, &script!("report"), &[&result], report(2, "running", "half")).await;
        assert_eq!((first, second), (Value::Int(1), Value::Int(1)));
        let (first, second) = twice(&t.redis, &script!("report"), &[&result], report(1, "done", "old")).await;
        assert_eq!((first, second), (Value::Int(0), Value::Int(0)));
        let (first, second) = twice(&t.redis, &script!("report"), &[&result], report(2, "done", "all")).await;
        assert_eq!((first, second), (Value::Int(1), Value::Int(1)));
        let (first, _) = twice(&t.redis, &script!("report"), &[&result], report(3, "running", "late")).await;
        assert_eq!(first, Value::Int(0), "done stays done");
        let known: Vec<String> = ask(&t.redis, "HVALS", &result, Args::new()).await;
        assert_eq!(known, ["done", "2", "all"]);
        assert!(t.ttl_ms(result.as_str()).await > 0);
    }

    async fn fire_twice_adds_one_job_and_none_before_its_tick(t: TestRedis) {
        let keys = keys(&t.redis);
        let last = key(&t.redis, "q", "cron.1");
        let fire = |tick_ms: i64| Args::new().int(NOW_US).int(tick_ms).bytes(envelope(1)).int(60_000);
        let all = [&last, &keys.pending];
        let (first, second) = twice(&t.redis, &script!("fire"), &all, fire(NOW_MS + 1)).await;
        assert_eq!(first, second);
        assert_eq!(<(i64, i64, i64)>::from_reply(first), Some((0, NOW_MS, 0)), "not due");
        let (first, second) = twice(&t.redis, &script!("fire"), &all, fire(NOW_MS)).await;
        assert_eq!(<(i64, i64, i64)>::from_reply(first), Some((1, NOW_MS, NOW_MS)));
        assert_eq!(<(i64, i64, i64)>::from_reply(second), Some((0, NOW_MS, NOW_MS)));
        let (first, _) = twice(&t.redis, &script!("fire"), &all, fire(NOW_MS - 5)).await;
        assert_eq!(<(i64, i64, i64)>::from_reply(first), Some((0, NOW_MS, NOW_MS)), "an older one is over");
        assert_eq!(ask::<u64>(&t.redis, "LLEN", &keys.pending, Args::new()).await, 1);
        assert!(t.ttl_ms(last.as_str()).await > 0);
    }

    async fn clock_tells_the_time_it_is_given(t: TestRedis) {
        let keys = keys(&t.redis);
        let (first, second) = twice(&t.redis, &script!("clock"), &[&keys.pending], Args::new().int(NOW_US)).await;
        assert_eq!(first, second);
        assert_eq!(i64::from_reply(first), Some(NOW_MS));
    }
}
