//! Eight processes on one limit of 1,000: asking for each request, with a cache of denials, with
//! leases. What they admit together is printed, and is never above the bound.

mod common;

use common::{each_policy, many};
use redis_patterns_core::{BootInstant, Namespace, Redis};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Gate, Policy, RateLimiter, WhenDown};
use std::num::NonZeroUsize;
use std::time::Duration;

const PROCESSES: usize = 8;
const TASKS: usize = 16;
const LIMIT: u64 = 1_000;
const WAYS: [&str; 3] = ["each asked", "denials cached", "leased"];
const ANSWER: Duration = Duration::from_secs(60);

fn gate(redis: &Redis, policy: Policy, way: &str) -> Gate {
    let limiter = RateLimiter::new(redis.clone(), policy);
    let gate = Gate::new(limiter, WhenDown::FailClosed).deadline(Duration::from_secs(10));
    match way {
        "leased" => gate.lease(many(50), Duration::from_secs(20)).unwrap(),
        "denials cached" => gate.cache_denials(NonZeroUsize::MIN),
        _ => gate,
    }
}

/// Asks from many tasks until each was denied some times; how many were admitted.
async fn admitted(gate: &Gate, subject: &str) -> u64 {
    let task = |gate: Gate, subject: String| async move {
        let (mut admitted, mut denied) = (0, 0);
        while denied < 5 {
            match gate.check(&subject).await.unwrap().is_allowed() {
                true => admitted += 1,
                false => denied += 1,
            }
        }
        admitted
    };
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(task(gate.clone(), subject.to_owned()))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_eight() {
    if !process::is_worker("one_of_eight") {
        return;
    }
    let orders = process::exit_when_parent_dies();
    let (url, namespace) = (std::env::var("URL").unwrap(), std::env::var("NAMESPACE").unwrap());
    let redis = Redis::builder(&url).namespace(Namespace::new(&namespace).unwrap());
    let redis = Box::pin(redis.connect()).await.unwrap();
    process::say("ready");
    // An order is the number of a policy and the way to ask.
    for order in orders {
        let (number, way) = order.split_once(' ').unwrap();
        let policy = each_policy(LIMIT)[number.parse::<usize>().unwrap()].clone();
        let gate = gate(&redis, policy, way);
        process::say(&admitted(&gate, &order).await.to_string());
    }
}

/// The worst case of each policy within `elapsed`, which is far below its period.
fn bound(policy: &Policy, elapsed: Duration) -> u64 {
    match policy {
        Policy::TokenBucket(bucket) => {
            let refilled = u128::from(bucket.rate().get()) * elapsed.as_nanos() / bucket.period().as_nanos();
            LIMIT + u64::try_from(refilled).unwrap()
        }
        _ => LIMIT,
    }
}

on_every_topology! {
    async fn eight_processes_never_admit_more_than_the_bound(t: TestRedis) {
        let env = [("URL", t.url()), ("NAMESPACE", t.redis.namespace().as_str())];
        let mut workers = Vec::new();
        for _ in 0..PROCESSES {
            workers.push(Worker::spawn_self_test("one_of_eight", &env).unwrap());
        }
        for worker in &mut workers {
            assert_eq!(worker.next_line(ANSWER).await.unwrap(), "ready");
        }
        for (number, policy) in each_policy(LIMIT).into_iter().enumerate() {
            for way in WAYS {
                let started = BootInstant::now();
                for worker in &mut workers {
                    worker.send_line(&format!("{number} {way}")).await.unwrap();
                }
                let mut parts = Vec::new();
                for worker in &mut workers {
                    parts.push(worker.next_line(ANSWER).await.unwrap().parse::<u64>().unwrap());
                }
                let (sum, bound) = (parts.iter().sum::<u64>(), bound(&policy, started.elapsed()));
                let kind = format!("{policy:?}").split('(').next().unwrap_or_default().to_owned();
                println!("{:?} {kind}, {way}: {sum} admitted of {bound} by {parts:?}", t.topology());
                assert!(sum <= bound, "{kind}, {way}: {sum} admitted, {bound} is the bound");
                assert!(sum >= LIMIT - 10, "{kind}, {way}: only {sum} admitted, nothing was proven");
            }
        }
    }
}
