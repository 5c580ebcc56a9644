//! One uncontended cycle beside the raw commands it replaces through the same client, and beside
//! another lock crate; and the renewal of 1,000 locks as the background task does it, beside 1,000
//! single calls.

#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use redis_lock::{LockGuard, LockOptions, Locks, Redis};
use redis_patterns_core::{Args, Key, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use rslock::LockManager;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

static COMPARE_AND_DELETE: Script = Script::new(
    "raw/release",
    "#!lua flags=allow-oom\n-- KEYS[1] lock\n-- ARGV[1] token\n\
     if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\nreturn 0\n",
);
static EXTEND: Script = Script::new("lock/extend", include_str!("../src/scripts/extend.lua"));
const HOW_MANY: usize = 1_000;

/// SET NX PX, then GET and DEL in a script: no fence, no queue, no guard.
async fn raw(redis: &Redis) {
    let key = redis.namespace().key("raw", &Tag::of("a"));
    let args = Args::new().bytes("a-token-of-thirty-two-characters").word("NX").word("PX").int(30_000);
    let set: Option<String> = redis.command("SET", &[&key], &args).await.unwrap();
    assert!(set.is_some());
    let args = Args::new().bytes("a-token-of-thirty-two-characters");
    assert_eq!(redis.run::<i64>(&COMPARE_AND_DELETE, &[&key], &args).await.unwrap(), 1);
}

async fn ours(locks: &Locks) {
    let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
    let _ = guard.release().await.unwrap();
}

async fn one_by_one(guards: &[LockGuard]) {
    for guard in guards {
        guard.extend().await.unwrap();
    }
}

/// No fence, no queue; its drop frees nothing.
async fn rslock_cycle(manager: &LockManager) {
    let lock = manager.lock("rslock", Duration::from_secs(30)).await.unwrap();
    manager.unlock(&lock).await;
}

/// Each its own call, all under way at once.
async fn at_once(guards: &'static [LockGuard]) {
    let calls: Vec<_> = guards.iter().map(|guard| tokio::spawn(guard.extend())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// As the background task does: a hundred in one script, all scripts under way at once. The locks
/// are made here, since no guard tells its token.
struct Batches {
    redis: Redis,
    keys: Vec<Key>,
}

impl Batches {
    async fn new(redis: &Redis) -> &'static Self {
        let name = |number: usize| Tag::of(format!("batch-{number}"));
        let keys: Vec<_> = (0..HOW_MANY).map(|number| redis.namespace().key("raw", &name(number))).collect();
        for key in &keys {
            let args = Args::new().bytes("token:7").word("PX").int(3_600_000);
            redis.command::<()>("SET", &[key], &args).await.unwrap();
        }
        Box::leak(Box::new(Self { redis: redis.clone(), keys }))
    }

    async fn renew(&'static self) {
        let batches = self.keys.chunks(100).map(async |keys| {
            let args = keys.iter().fold(Args::new().int(3_600_000), |args, _| args.bytes("token"));
            let keys: Vec<_> = keys.iter().collect();
            let codes: Vec<i64> = self.redis.run_batch(&EXTEND, &keys, &args).await.unwrap();
            assert!(codes.iter().all(|code| *code == 1));
        });
        let calls: Vec<_> = batches.map(tokio::spawn).collect();
        for call in calls {
            call.await.unwrap();
        }
    }
}

/// Raw and ours by turns, so that a loaded machine slows both alike.
async fn by_turns(redis: &Redis, locks: &Locks) {
    let (mut raws, mut ourss) = (Vec::new(), Vec::new());
    for _ in 0..4_000 {
        let started = Instant::now();
        raw(redis).await;
        raws.push(started.elapsed());
        let started = Instant::now();
        ours(locks).await;
        ourss.push(started.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (raw, ours) = (median(&mut raws), median(&mut ourss));
    println!("by turns: raw {raw:.0} us, ours {ours:.0} us in the middle: {:.2} of its speed", raw / ours);
}

fn benches(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let options = LockOptions::new().lease(Duration::from_secs(3_600)).unwrap();
    let locks = Locks::new(t.redis.clone(), options);
    runtime.block_on(by_turns(&t.redis, &locks));
    let mut group = c.benchmark_group("cycle");
    group.bench_function("raw SET NX + EVALSHA", |b| b.to_async(&runtime).iter(|| raw(&t.redis)));
    group.bench_function("try_lock + release", |b| b.to_async(&runtime).iter(|| ours(&locks)));
    let manager = LockManager::new(vec![t.url()]);
    group.bench_function("rslock lock + unlock", |b| b.to_async(&runtime).iter(|| rslock_cycle(&manager)));
    group.finish();

    let guards: &'static [LockGuard] = runtime.block_on(async {
        let mut guards = Vec::new();
        for number in 0..HOW_MANY {
            guards.push(locks.try_lock(format!("lock-{number}")).await.unwrap().acquired().unwrap());
        }
        guards.leak()
    });
    let mut group = c.benchmark_group("extend 1,000 locks");
    group.sample_size(20);
    group.bench_function("one by one", |b| b.to_async(&runtime).iter(|| one_by_one(guards)));
    let batches = runtime.block_on(Batches::new(&t.redis));
    group.bench_function("a hundred in a script", |b| b.to_async(&runtime).iter(|| batches.renew()));
    group.bench_function("at once", |b| b.to_async(&runtime).iter(|| at_once(guards)));
    group.finish();
    runtime.block_on(t.delete_keys());
}

criterion_group!(all, benches);
criterion_main!(all);
