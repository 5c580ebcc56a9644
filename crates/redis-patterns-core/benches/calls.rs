//! What the handle costs: a script through `Redis::run` beside the same `EVALSHA` by hand through
//! the same client library, at 1, 64 and 512 tasks. Only the ratio within one run means anything.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fred::clients::Client;
use fred::interfaces::{ClientLike, LuaInterface};
use fred::types::Builder;
use fred::types::config::Config;
use redis_patterns_core::{Args, Redis, Script, Tag};
use redis_patterns_testkit::servers::{Backend, ServerChoice, Topology, start};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

static ADD: Script = Script::new(
    "bench/add",
    "#!lua\n-- add: add to a number.\n-- KEYS[1] n\n-- ARGV[1] by\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])",
);

/// Runs `calls` calls in all over `tasks` tasks and says how long that took.
async fn spread<F, Fut>(tasks: u64, calls: u64, call: F) -> Duration
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let started = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (call, share) = (call.clone(), calls / tasks + u64::from(task < calls % tasks));
            tokio::spawn(async move {
                for _ in 0..share {
                    call().await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("a task of the bench");
    }
    started.elapsed()
}

async fn by_hand(url: &str) -> (Client, String) {
    let client = Builder::from_config(Config::from_url(url).expect("a URL")).build().expect("a client");
    client.init().await.expect("a connection");
    let sha = client.script_load(ADD.source()).await.expect("a loaded script");
    (client, sha)
}

fn calls(criterion: &mut Criterion) {
    let server = start(Topology::Standalone, &ServerChoice::Auto, Backend::Auto).expect("a server");
    println!("on {}", server.describe());
    let runtime = Runtime::new().expect("a runtime");
    let (redis, (client, sha)) = runtime.block_on(async {
        (Redis::connect(server.url()).await.expect("a connection"), by_hand(server.url()).await)
    });
    let key = redis.namespace().key("bench", &Tag::of("n"));
    let mut group = criterion.benchmark_group("script");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(5)).sample_size(20);
    for tasks in [1, 64, 512] {
        group.bench_function(BenchmarkId::new("redis_run", tasks), |bench| {
            bench.to_async(&runtime).iter_custom(|calls| {
                let (redis, key) = (redis.clone(), key.clone());
                spread(tasks, calls, move || {
                    let (redis, key) = (redis.clone(), key.clone());
                    async move {
                        redis.run::<i64>(&ADD, &[&key], &Args::new().int(1)).await.expect("a reply");
                    }
                })
            });
        });
        group.bench_function(BenchmarkId::new("evalsha_by_hand", tasks), |bench| {
            bench.to_async(&runtime).iter_custom(|calls| {
                let (client, sha, key) = (client.clone(), sha.clone(), key.as_str().to_owned());
                spread(tasks, calls, move || {
                    let (client, sha, key) = (client.clone(), sha.clone(), key.clone());
                    async move {
                        client.evalsha::<i64, _, _, _>(sha, key, 1).await.expect("a reply");
                    }
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
