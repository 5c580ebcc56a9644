//! One uncontended cycle beside the raw commands it replaces, through the same client in one run;
//! and the extension of 1,000 locks at once beside 1,000 single calls.

#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use redis_lock::{LockGuard, LockOptions, Locks, Redis};
use redis_patterns_core::{Args, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use std::time::Duration;
use tokio::runtime::Runtime;

static COMPARE_AND_DELETE: Script = Script::new(
    "raw/release",
    "#!lua flags=allow-oom\n-- KEYS[1] lock\n-- ARGV[1] token\n\
     if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\nreturn 0\n",
);
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

/// As the watchdogs do: each its own call, all under way at once.
async fn at_once(guards: &'static [LockGuard]) {
    let calls: Vec<_> = guards.iter().map(|guard| tokio::spawn(guard.extend())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

fn benches(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let options = LockOptions::new().lease(Duration::from_secs(3_600)).unwrap();
    let locks = Locks::new(t.redis.clone(), options);
    let mut group = c.benchmark_group("cycle");
    group.bench_function("raw SET NX + EVALSHA", |b| b.to_async(&runtime).iter(|| raw(&t.redis)));
    group.bench_function("try_lock + release", |b| b.to_async(&runtime).iter(|| ours(&locks)));
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
    group.bench_function("at once", |b| b.to_async(&runtime).iter(|| at_once(guards)));
    group.finish();
    runtime.block_on(t.delete_keys());
}

criterion_group!(all, benches);
criterion_main!(all);
