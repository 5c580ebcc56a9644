//! Worker processes under a storm of kills, pauses, cuts and lost replies: what was sent is what
//! was done, and nothing ran more often than it was delivered.
//!
//! `QUEUE_CHAOS_JOBS` (2,000 unless set) and `QUEUE_CHAOS_SEED` (1) make longer and other runs.

mod common;

use common::{SOON, ask, eventually, key, processing};
use redis_patterns_core::{Args, Namespace, Redis};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::TestRedis;
use redis_queue::{Backoff, Job, Queue, QueueOptions, WorkerOptions};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(2);
const WORKERS: usize = 3;

fn queue(redis: Redis) -> Queue {
    // Here the workers are to blame, never the jobs.
    Queue::with_options(redis, "q", QueueOptions::default().max_losses(u16::MAX))
}

/// Does a job: counts that it ran, and the highest delivery it ran under.
async fn work(redis: &Redis, job: &Job) -> Result<(), redis_patterns_core::Error> {
    let name = job.payload();
    let highest = Args::new().word("GT").int(job.delivery().into()).bytes(name);
    redis.command::<i64>("ZADD", &[&key(redis, "q", "deliveries")], &highest).await?;
    redis.command::<i64>("HINCRBY", &[&key(redis, "q", "runs")], &Args::new().bytes(name).int(1)).await?;
    Ok(())
}

#[test]
fn chaos_worker() {
    if !process::is_worker("chaos_worker") {
        return;
    }
    let _lines = process::exit_when_parent_dies();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::builder(&std::env::var("QUEUE_TEST_URL").unwrap())
            .namespace(Namespace::new(&std::env::var("QUEUE_TEST_NAMESPACE").unwrap()).unwrap())
            .connect()
            .await
            .unwrap();
        let options = WorkerOptions::default()
            .lease(LEASE)
            .concurrency(NonZeroUsize::new(8).unwrap())
            .max_failures(std::num::NonZeroU32::MAX)
            .backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(200)));
        let handled = redis.clone();
        let handler = move |job: Job| {
            let redis = handled.clone();
            async move { work(&redis, &job).await }
        };
        let _worker = queue(redis).run(options, handler).await.unwrap();
        process::say("ready");
        std::future::pending::<()>().await;
    });
}

async fn spawn(t: &TestRedis, url: &str) -> Worker {
    let env = [("QUEUE_TEST_URL", url), ("QUEUE_TEST_NAMESPACE", t.redis.namespace().as_str())];
    loop {
        // One that is born into a cut connection gives up; the next is tried.
        let mut worker = Worker::spawn_self_test("chaos_worker", &env).unwrap();
        if let Ok(line) = worker.next_line(SOON).await {
            assert_eq!(line, "ready");
            return worker;
        }
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What happened to the workers.
#[derive(Debug, Default)]
struct Storm {
    kills: u32,
    pauses: u32,
    cuts: u32,
    lost_replies: u32,
}

impl Storm {
    async fn strike(&mut self, t: &TestRedis, proxy: &Proxy, workers: &mut [Worker], dice: &mut u64) {
        // A linear congruential generator: the same seed strikes in the same order.
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let victim = (*dice >> 40) as usize % workers.len();
        match (*dice >> 33) % 8 {
            0 | 1 => {
                workers[victim].kill().await.unwrap();
                let url = if victim == 0 { t.url().to_owned() } else { proxy.url() };
                workers[victim] = spawn(t, &url).await;
                self.kills += 1;
            }
            2 => {
                workers[victim].stop().unwrap();
                // sleep: the pause itself, longer than the lease.
                tokio::time::sleep(LEASE + LEASE / 4).await;
                workers[victim].cont().unwrap();
                self.pauses += 1;
            }
            3 | 4 => {
                proxy.cut_all();
                self.cuts += 1;
            }
            5 => {
                proxy.lose_replies(2, Match::Command("BLMOVE"));
                self.lost_replies += 2;
            }
            _ => {
                proxy.lose_replies(3, Match::Command("EVALSHA"));
                self.lost_replies += 3;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_what_was_done() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (jobs, mut dice) = (from_env("QUEUE_CHAOS_JOBS", 2_000), from_env("QUEUE_CHAOS_SEED", 1));
    let proxy = Proxy::start(t.url()).await.unwrap();
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let url = if number == 0 { t.url().to_owned() } else { proxy.url() };
        workers.push(spawn(&t, &url).await);
    }
    let direct = queue(t.redis.clone());
    let runs = key(&t.redis, "q", "runs");
    let (started, mut sent, mut storm) = (Instant::now(), 0, Storm::default());
    let mut progress = (Instant::now(), 0);
    while progress.1 < jobs || storm.kills < 3 {
        // A few at a time, so that the storm meets both full and empty queues.
        if sent < jobs && direct.depth().await.unwrap() < 500 {
            let until = (sent + 250).min(jobs);
            assert!(direct.push_many((sent..until).map(|n| n.to_string())).await.unwrap().is_accepted());
            sent = until;
        }
        storm.strike(&t, &proxy, &mut workers, &mut dice).await;
        let done: u64 = ask(&t.redis, "HLEN", &runs, Args::new()).await;
        if done > progress.1 {
            progress = (Instant::now(), done);
        }
        assert!(progress.0.elapsed() < 3 * SOON || done == jobs, "stuck at {done} of {jobs}: {storm:?}");
    }
    proxy.heal();
    eventually("nothing waits and nothing is held", || async {
        let stats = direct.stats().await.unwrap();
        stats.pending + stats.delayed + processing(&t.redis, "q").await == 0
    })
    .await;
    let counts: BTreeMap<String, u64> = pairs(ask(&t.redis, "HGETALL", &runs, Args::new()).await);
    let args = Args::new().int(0).int(-1).word("WITHSCORES");
    let deliveries: BTreeMap<String, u64> =
        pairs(ask(&t.redis, "ZRANGE", &key(&t.redis, "q", "deliveries"), args).await);
    assert_eq!(counts.len() as u64, sent, "a job never ran");
    assert_eq!(direct.stats().await.unwrap().dead, 0);
    for (name, count) in &counts {
        assert!(*count <= deliveries[name], "job {name}: {count} runs, {} deliveries", deliveries[name]);
    }
    let doubled = counts.values().filter(|&&count| count > 1).count();
    println!(
        "{sent} sent, {} done, 0 lost, 0 dead, {doubled} ran more than once (each by a counted delivery), \
         {storm:?}, replies swallowed {}, in {:.1?}",
        counts.len(),
        proxy.counts().lost_replies,
        started.elapsed()
    );
}

fn pairs(flat: Vec<String>) -> BTreeMap<String, u64> {
    flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].parse().unwrap())).collect()
}
