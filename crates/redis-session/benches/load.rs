//! What a load costs beside a `GETEX` by hand through the same client, and beside the store of
//! tower-sessions; only the ratios within one run mean anything.
//!
//! `REDIS_PATTERNS_STANDALONE_URL=redis://127.0.0.1:6379 cargo bench -p redis-session`

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use redis_patterns_core::{Args, Redis, Tag};
use redis_patterns_testkit::harness::{TestRedis, spread};
use redis_session::{LogIn, Login, PlainSessions, SessionId, Sessions};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;
use tower_sessions_core_014::SessionStore as _;
use tower_sessions_core_014::session::{Id, Record};
use tower_sessions_redis_store::RedisStore;

const TASKS: [u64; 2] = [1, 64];
const IDLE_MS: i64 = 30 * 60 * 1_000;
type Value = HashMap<String, String>;
type Store = RedisStore<tower_sessions_redis_store::fred::clients::Pool>;

/// About 300 bytes as JSON.
fn value() -> Value {
    (0..8).map(|n| (format!("field-{n}"), "0123456789abcdefghijklmn".to_owned())).collect()
}

/// The same value in three shapes, and the ways to it.
#[derive(Clone)]
struct Held {
    redis: Redis,
    sessions: Sessions<Value>,
    plain: PlainSessions<Value>,
    plain_id: SessionId,
    users: SessionId,
    nobodys: SessionId,
    store: Store,
    record: Record,
}

async fn getex_by_hand(held: Held) {
    let key = held.redis.namespace().key("hand", &Tag::of("session"));
    let args = Args::new().word("PX").int(IDLE_MS);
    let stored: Option<bytes::Bytes> = held.redis.command("GETEX", &[&key], &args).await.unwrap();
    assert!(stored.is_some());
}

async fn load_users(held: Held) {
    assert!(held.sessions.load(&held.users).await.unwrap().is_some());
}

async fn load_nobodys(held: Held) {
    assert!(held.sessions.load(&held.nobodys).await.unwrap().is_some());
}

async fn load_plain(held: Held) {
    assert!(held.plain.load(&held.plain_id).await.unwrap().is_some());
}

async fn peer_load(held: Held) {
    assert!(held.store.load(&held.record.id).await.unwrap().is_some());
}

async fn set_by_hand(held: Held) {
    let key = held.redis.namespace().key("hand", &Tag::of("session"));
    let json = serde_json::to_vec(&value()).unwrap();
    let args = Args::new().bytes(json).word("XX").word("PX").int(IDLE_MS);
    held.redis.command::<()>("SET", &[&key], &args).await.unwrap();
}

async fn update_users(held: Held) {
    let _ = held.sessions.update(&held.users, &value()).await.unwrap();
}

async fn peer_save(held: Held) {
    held.store.save(&held.record).await.unwrap();
}

async fn prepare(t: &TestRedis) -> Held {
    let sessions = Sessions::new(t.redis.clone());
    let LogIn::Begun(users) = sessions.log_in(Login::of("42"), &value()).await.unwrap() else { panic!() };
    let nobodys = sessions.create(&value()).await.unwrap();
    let key = t.redis.namespace().key("hand", &Tag::of("session"));
    let args = Args::new().bytes(serde_json::to_vec(&value()).unwrap()).word("PX").int(IDLE_MS);
    t.redis.command::<()>("SET", &[&key], &args).await.unwrap();
    let store = RedisStore::new(t.redis.fred().expect("one server").clone());
    let data = value().into_iter().map(|(name, text)| (name, text.into())).collect();
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    let mut record = Record { id: Id::default(), data, expiry_date: in_an_hour.into() };
    store.create(&mut record).await.unwrap();
    let plain = PlainSessions::new(t.redis.clone(), Duration::from_secs(1_800)).unwrap();
    let plain_id = plain.create(&value()).await.unwrap();
    Held { redis: t.redis.clone(), sessions, plain, plain_id, users, nobodys, store, record }
}

struct Bench<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    runtime: Runtime,
    held: Held,
}

impl Bench<'_> {
    fn case<F: Future<Output = ()> + Send + 'static>(&mut self, tasks: u64, name: &str, call: fn(Held) -> F) {
        self.group.bench_function(BenchmarkId::new(name, tasks), |bench| {
            bench.to_async(&self.runtime).iter_custom(|times| {
                let held = self.held.clone();
                spread(tasks, times, move |_| call(held.clone()))
            });
        });
    }
}

fn loads(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let held = runtime.block_on(prepare(&t));
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(3));
    let mut bench = Bench { group, runtime, held };
    for tasks in TASKS {
        bench.case(tasks, "getex_by_hand", getex_by_hand);
        bench.case(tasks, "load_users", load_users);
        bench.case(tasks, "load_nobodys", load_nobodys);
        bench.case(tasks, "load_plain", load_plain);
        bench.case(tasks, "peer_load", peer_load);
        bench.case(tasks, "set_by_hand", set_by_hand);
        bench.case(tasks, "update_users", update_users);
        bench.case(tasks, "peer_save", peer_save);
    }
    bench.runtime.block_on(t.delete_keys());
}

criterion_group!(benches, loads);
criterion_main!(benches);
