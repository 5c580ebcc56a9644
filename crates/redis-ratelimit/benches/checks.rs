//! What a check costs: through this crate beside the same `EVALSHA` by hand through the same client
//! library, in one run; coalesced beside one call each; out of a lease; the server's processor time
//! for each decision and its memory for each subject.
//!
//! `cargo bench -p redis-ratelimit`; the bench starts its own server. Only ratios within one run mean
//! anything.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand, Value};
use redis_patterns_testkit::faults::resp::Conn;
use redis_patterns_testkit::harness::spread;
use redis_patterns_testkit::servers::{Backend, Running, ServerChoice, Topology, start};
use redis_ratelimit::{
    ApproximateWindow, Calendar, FixedWindow, Gate, Policy, RateLimiter, Redis, SlidingLog, SlidingWindow,
    Source, TokenBucket, WhenDown,
};
use std::hint::black_box;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const HOUR: Duration = Duration::from_secs(3_600);
const SUBJECTS: u64 = 10_000;
const PLENTY: u64 = 1 << 50;

fn many(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

fn policies(limit: u64) -> Vec<(&'static str, Policy)> {
    let limit = many(limit);
    vec![
        ("FixedWindow", FixedWindow::new("b", limit, HOUR).unwrap().into()),
        ("FixedWindow of the calendar", FixedWindow::calendar("b", limit, Calendar::Day).unwrap().into()),
        ("TokenBucket", TokenBucket::new("b", limit, HOUR).unwrap().into()),
        ("SlidingLog", SlidingLog::new("b", limit, HOUR).unwrap().into()),
        ("SlidingWindow", SlidingWindow::new("b", limit, HOUR).unwrap().into()),
        ("ApproximateWindow", ApproximateWindow::new("b", limit, HOUR).unwrap().into()),
    ]
}

struct Bench {
    server: Running,
    runtime: Runtime,
    redis: Redis,
}

impl Bench {
    fn start() -> Self {
        let server = start(Topology::Standalone, &ServerChoice::Auto, Backend::Auto).unwrap();
        println!("on {}", server.describe());
        let runtime = Runtime::new().unwrap();
        let connect = Redis::builder(server.url()).command_deadline(Duration::from_secs(10)).connect();
        let redis = runtime.block_on(connect).unwrap();
        Self { server, runtime, redis }
    }

    fn limiter(&self, policy: impl Into<Policy>) -> RateLimiter {
        RateLimiter::new(self.redis.clone(), policy)
    }

    fn gate(&self, limiter: RateLimiter) -> Gate {
        Gate::new(limiter, WhenDown::FailClosed).deadline(Duration::from_secs(10))
    }

    /// One line of INFO as a number.
    fn info(&self, section: &str, name: &str) -> f64 {
        self.runtime.block_on(async {
            let mut conn = Conn::connect(self.server.url()).await.unwrap();
            let text = conn.call(["INFO", section]).await.unwrap().text();
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split(',').next()?.trim_start_matches("calls=").parse().ok())
                .unwrap_or(0.0)
        })
    }

    /// The words of the command that one check sends.
    fn command_of(&self, limiter: &RateLimiter) -> Vec<String> {
        self.runtime.block_on(async {
            let _ = limiter.check("subject").await.unwrap();
            let mut monitor = Conn::connect(self.server.url()).await.unwrap();
            monitor.call(["MONITOR"]).await.unwrap();
            let _ = limiter.check("subject").await.unwrap();
            loop {
                let line = monitor.next().await.unwrap().text();
                if let Some(at) = line.find("\"EVALSHA\"") {
                    let words = line[at..].split('"').skip(1).step_by(2);
                    return words.map(ToOwned::to_owned).collect();
                }
            }
        })
    }
}

/// This crate beside the same command by hand.
fn beside_by_hand(criterion: &mut Criterion, bench: &Bench) {
    let limiter = bench.limiter(FixedWindow::new("b", many(PLENTY), HOUR).unwrap());
    let words = bench.command_of(&limiter).into_iter().skip(1);
    let words: Vec<Value> = words.map(|word| Value::Bytes(word.into())).collect();
    let client: Client = bench.runtime.block_on(async {
        let client = Builder::from_config(Config::from_url(bench.server.url()).unwrap()).build().unwrap();
        client.init().await.unwrap();
        client
    });
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    for tasks in [1, 64, 512] {
        group.bench_function(BenchmarkId::new("through the crate", tasks), |b| {
            b.to_async(&bench.runtime).iter_custom(|calls| {
                let limiter = limiter.clone();
                spread(tasks, calls, move |_| {
                    let limiter = limiter.clone();
                    async move {
                        let decision = limiter.check("subject").await.unwrap();
                        assert!(decision.is_allowed());
                    }
                })
            });
        });
        group.bench_function(BenchmarkId::new("EVALSHA by hand", tasks), |b| {
            b.to_async(&bench.runtime).iter_custom(|calls| {
                let (client, words) = (client.clone(), words.clone());
                spread(tasks, calls, move |_| {
                    let (client, words) = (client.clone(), words.clone());
                    async move {
                        let evalsha = CustomCommand::new_static("EVALSHA", ClusterHash::Random, false);
                        let reply: Value = client.custom(evalsha, words).await.unwrap();
                        assert!(reply.is_array());
                    }
                })
            });
        });
    }
    group.finish();
}

/// Many subjects at once: one call each, and together.
fn coalesced(criterion: &mut Criterion, bench: &Bench) {
    let limiter = bench.limiter(TokenBucket::new("b", many(1_000_000), HOUR).unwrap());
    let gates =
        [("one call each", bench.gate(limiter.clone())), ("coalesced", bench.gate(limiter).coalesce())];
    let mut group = criterion.benchmark_group("many subjects");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    for tasks in [1, 512] {
        for (name, gate) in &gates {
            group.bench_function(BenchmarkId::new(*name, tasks), |b| {
                b.to_async(&bench.runtime).iter_custom(|calls| {
                    let gate = gate.clone();
                    spread(tasks, calls, move |number| {
                        let gate = gate.clone();
                        async move {
                            let decision = gate.check((number % SUBJECTS).to_string()).await.unwrap();
                            assert_eq!(decision.source, Source::Redis);
                        }
                    })
                });
            });
        }
    }
    group.finish();
}

/// One hot subject out of a lease, on one core.
fn leased(criterion: &mut Criterion, bench: &Bench) {
    let limiter = bench.limiter(FixedWindow::new("b", many(PLENTY), HOUR).unwrap());
    let gate = bench.gate(limiter).lease(many(100_000), Duration::from_secs(60)).unwrap();
    let core = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls_before = bench.info("commandstats", "cmdstat_evalsha");
    let mut decisions = 0;
    let mut group = criterion.benchmark_group("lease");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    group.bench_function("one hot subject", |b| {
        b.iter_custom(|calls| {
            decisions += calls;
            core.block_on(async {
                let started = Instant::now();
                for _ in 0..calls {
                    assert!(black_box(gate.check("hot").await.unwrap()).is_allowed());
                }
                started.elapsed()
            })
        });
    });
    group.finish();
    let sent = bench.info("commandstats", "cmdstat_evalsha") - calls_before;
    println!(
        "lease: {sent} commands for {decisions} decisions, {:.1} for a million",
        sent * 1e6 / decisions as f64
    );
}

/// Processor time of the server for each decision, and its memory for each subject.
fn on_the_server(bench: &Bench) {
    const CALLS: u64 = 100_000;
    let cpu =
        || bench.info("cpu", "used_cpu_user_main_thread") + bench.info("cpu", "used_cpu_sys_main_thread");
    for (name, policy) in policies(1_000) {
        bench
            .runtime
            .block_on(bench.redis.keyless::<()>("FLUSHALL", &redis_patterns_core::Args::new()))
            .unwrap();
        let limiter = bench.limiter(policy);
        let check = move |number: u64| {
            let limiter = limiter.clone();
            async move { assert!(limiter.check((number % SUBJECTS).to_string()).await.unwrap().is_allowed()) }
        };
        let memory = || bench.info("memory", "used_memory");
        let empty = memory();
        bench.runtime.block_on(spread(64, SUBJECTS, check.clone()));
        let one = (memory() - empty) / SUBJECTS as f64;
        let before = cpu();
        bench.runtime.block_on(spread(64, CALLS, check));
        let micros = (cpu() - before) * 1e6 / CALLS as f64;
        let many = (memory() - empty) / SUBJECTS as f64;
        println!(
            "{name}: {micros:.1} us of the server's processor a decision, {one:.0} B a subject after one unit, {many:.0} B after {}",
            1 + CALLS / SUBJECTS
        );
    }
}

fn all(criterion: &mut Criterion) {
    let bench = Bench::start();
    on_the_server(&bench);
    beside_by_hand(criterion, &bench);
    coalesced(criterion, &bench);
    leased(criterion, &bench);
}

criterion_group!(benches, all);
criterion_main!(benches);
