//! What the engine costs beside the same two commands by hand, through the same client.
//!
//! `REDIS_PATTERNS_STANDALONE_URL=redis://127.0.0.1:6379 cargo bench -p redis-idem`

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use redis_idem::{Begin, Fingerprint, Idempotency, Scope};
use redis_patterns_core::{Args, Redis, Script, Tag};
use redis_patterns_testkit::harness::{TestRedis, spread};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

static NEXT: AtomicU64 = AtomicU64::new(0);
const TASKS: [u64; 2] = [1, 64];
/// As long as a record without its outcome, so that both sides move the same bytes.
const RECORD: [u8; 75] = [b'r'; 75];

/// `SET NX GET PX` and `SET PX`: the least that claims and keeps an outcome.
async fn by_hand(redis: Redis) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    let key = redis.namespace().key("hand", &Tag::of(id));
    let claim = Args::new().bytes(RECORD).word("NX").word("GET").word("PX").int(60_000);
    let there: Option<bytes::Bytes> = redis.command("SET", &[&key], &claim).await.unwrap();
    assert!(there.is_none());
    let done = Args::new().bytes(RECORD).word("PX").int(60_000);
    redis.command::<()>("SET", &[&key], &done).await.unwrap();
}

/// The very two commands that the engine sends: `SET NX GET PX`, and the script that compares the owner.
async fn with_the_script(redis: Redis) {
    static COMPLETE: Script = Script::new("idem/complete", include_str!("../src/scripts/complete.lua"));
    let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    let key = redis.namespace().key("hand", &Tag::of(id));
    let claim = Args::new().bytes(RECORD).word("NX").word("GET").word("PX").int(60_000);
    let there: Option<bytes::Bytes> = redis.command("SET", &[&key], &claim).await.unwrap();
    assert!(there.is_none());
    let mut done = RECORD;
    done[3] = b'D';
    let stored: u32 = redis.run(&COMPLETE, &[&key], &Args::new().bytes(done).int(60_000)).await.unwrap();
    assert_eq!(stored, 1);
}

async fn begin_and_complete(requests: Idempotency) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    let Begin::Started(claim) = begin(&requests, &id).await else { panic!("a new key was taken") };
    let _ = claim.complete("paid").await.unwrap();
}

async fn begin(requests: &Idempotency, key: &str) -> Begin {
    requests.begin(&Scope::Global, "bench", key, Fingerprint::of("body")).await.unwrap()
}

async fn ask(requests: Idempotency, key: &'static str) {
    let _ = begin(&requests, key).await;
}

fn engine(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let (redis, requests) = (t.redis.clone(), Idempotency::new(t.redis.clone()));
    runtime.block_on(async {
        let Begin::Started(done) = begin(&requests, "done").await else { return };
        let _ = done.complete("paid").await;
        let _held = begin(&requests, "held").await;
    });
    let mut group = criterion.benchmark_group("idem");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(4));
    for tasks in TASKS {
        let case = |name: &str| BenchmarkId::new(name, tasks);
        group.bench_function(case("two plain commands by hand"), |b| {
            b.to_async(&runtime).iter_custom(|times| {
                let redis = redis.clone();
                spread(tasks, times, move |_| by_hand(redis.clone()))
            });
        });
        group.bench_function(case("the same two commands by hand"), |b| {
            b.to_async(&runtime).iter_custom(|times| {
                let redis = redis.clone();
                spread(tasks, times, move |_| with_the_script(redis.clone()))
            });
        });
        group.bench_function(case("begin and complete"), |b| {
            b.to_async(&runtime).iter_custom(|times| {
                let requests = requests.clone();
                spread(tasks, times, move |_| begin_and_complete(requests.clone()))
            });
        });
        for (name, key) in [("replay", "done"), ("in progress", "held")] {
            group.bench_function(case(name), |b| {
                b.to_async(&runtime).iter_custom(|times| {
                    let requests = requests.clone();
                    spread(tasks, times, move |_| ask(requests.clone(), key))
                });
            });
        }
    }
    group.finish();
    runtime.block_on(t.delete_keys());
}

criterion_group!(benches, engine);
criterion_main!(benches);
