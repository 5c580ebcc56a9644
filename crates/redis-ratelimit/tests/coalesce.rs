//! Checks sent together: the same answers as one by one, in fewer calls.

mod common;

use common::{HOUR, KINDS, all_kinds, hourly, key, many, named, plant};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{Degraded, Gate, RateLimiter, Redis, Source, WhenDown};
use std::num::NonZeroU32;
use std::time::Duration;

fn coalescing(limiter: RateLimiter) -> Gate {
    Gate::new(limiter, WhenDown::FailOpen).deadline(Duration::from_secs(10)).coalesce()
}

fn each_kind_and_all(redis: &Redis, limit: u64) -> Vec<RateLimiter> {
    let one = |kind| RateLimiter::new(redis.clone(), named(kind, "test", limit));
    KINDS.map(one).into_iter().chain([all_kinds(redis, limit)]).collect()
}

/// So many tasks at once over so many subjects; what each subject was admitted.
async fn storm(gate: &Gate, tasks: usize, subjects: usize) -> Vec<u64> {
    let task = |number: usize| {
        let gate = gate.clone();
        tokio::spawn(async move {
            let subject = (number % subjects).to_string();
            u64::from(gate.check(subject).await.unwrap().is_allowed())
        })
    };
    let mut admitted = vec![0; subjects];
    for (number, task) in (0..tasks).map(task).collect::<Vec<_>>().into_iter().enumerate() {
        admitted[number % subjects] += task.await.unwrap();
    }
    admitted
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_checks_are_a_few_calls() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = coalescing(hourly(&t.redis, 3));
    let _ = gate.check("warm").await.unwrap();
    let (admitted, cost) = round_trips(&[server.url()], async || storm(&gate, 512, 100).await).await.unwrap();
    println!("512 checks of 100 subjects: {} calls", cost.sent.total());
    assert_eq!(admitted, vec![3; 100]);
    assert!(cost.sent.total() < 256, "{}", cost.sent);
}

on_every_topology! {
    async fn each_kind_and_all_of_them_answer_as_one_by_one(t: TestRedis) {
        for limiter in each_kind_and_all(&t.redis, 4) {
            let gate = coalescing(limiter.clone());
            assert_eq!(storm(&gate, 300, 40).await, vec![4; 40], "{:?}", limiter.policies());
            let decision = gate.check("0").await.unwrap();
            let peek = limiter.peek("0").await.unwrap();
            assert_eq!((decision.source, decision.remaining, decision.limit), (Source::Redis, 0, 4));
            assert_eq!(decision.violated().count(), peek.violated().count());
            for number in 0..40 {
                limiter.reset(number.to_string()).await.unwrap();
            }
        }
    }

    async fn costs_and_refunds_are_those_of_each(t: TestRedis) {
        let gate = coalescing(hourly(&t.redis, 10));
        let ask = |cost: u64| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.check_n(format!("s{cost}"), many(cost)).await.unwrap() })
        };
        for (cost, asked) in (1..=10).map(|cost| (cost, ask(cost))).collect::<Vec<_>>() {
            let mut decision = asked.await.unwrap();
            assert_eq!((decision.charged, decision.remaining), (cost, 10 - cost));
            assert_eq!(gate.refund(format!("s{cost}"), &mut decision, many(1)).await.unwrap(), 1);
            assert_eq!(gate.limiter().peek(format!("s{cost}")).await.unwrap().remaining, 11 - cost);
        }
    }

    /// One key of another type fails its own question only, and that one says why.
    async fn a_mistake_among_many_is_nobody_elses(t: TestRedis) {
        let gate = coalescing(hourly(&t.redis, 5));
        plant(&t.redis, &key(&t.redis, "bad"), "no number").await;
        let ask = |number: usize| {
            let gate = gate.clone();
            let subject = if number.is_multiple_of(7) { "bad".to_owned() } else { format!("good-{number}") };
            tokio::spawn(async move { gate.check(subject).await })
        };
        for (number, asked) in (0..200).map(ask).collect::<Vec<_>>().into_iter().enumerate() {
            match asked.await.unwrap() {
                Ok(decision) => assert!(!number.is_multiple_of(7) && decision.charged == 1, "{number}"),
                Err(error) => assert!(number.is_multiple_of(7) && !error.is_outage(), "{number}: {error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_costs_each_its_deadline_and_charges_once_at_most() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = Gate::new(hourly(&t.redis, 1_000), WhenDown::FailOpen).coalesce();
    let gate = gate.breaker(NonZeroU32::MAX, HOUR);
    let _ = gate.check("ann").await.unwrap();
    server.node().stop().unwrap();
    let ask = |_| {
        let gate = gate.clone();
        tokio::spawn(async move { gate.check("ann").await.unwrap().source })
    };
    for asked in (0..400).map(ask).collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), Source::Fallback(Degraded::NoAnswer));
    }
    server.node().cont().unwrap();
    let used = 1_000 - hourly(&t.redis, 1_000).peek("ann").await.unwrap().remaining;
    println!("400 checks into the freeze: {used} charged");
    assert!((1..=401).contains(&used), "{used}");
}
