//! A thousand guesses at once: no more are compared than are allowed, and one is right at most.

#![allow(clippy::unwrap_used)]

use redis_patterns_testkit::faults::resp::Conn;
use redis_patterns_testkit::faults::stats::CommandStats;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_session::{CodeOptions, Codes, Pepper, Purpose, Verdict};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

const LOGIN: Purpose = Purpose::new("log-in code");
const GUESSES: usize = 1_000;
const ATTEMPTS: u32 = 5;

/// What a storm brought: how often each verdict, and how many guesses the server counted.
#[derive(Debug, Default)]
struct Storm {
    right: u32,
    wrong: u32,
    no_code: u32,
    locked: u32,
    counted: u64,
}

/// Every guess is a task of its own, over four connections.
async fn storm(url: &str, handles: &[Codes<u64>], guess: impl Fn(usize) -> String) -> Storm {
    let mut server = [Conn::connect(url).await.unwrap()];
    let before = CommandStats::take(&mut server).await.unwrap();
    let tasks: Vec<_> = (0..GUESSES)
        .map(|n| {
            let (codes, guess) = (handles[n % handles.len()].clone(), guess(n));
            tokio::spawn(async move { codes.verify("ann", &guess).await.unwrap() })
        })
        .collect();
    let mut storm = Storm::default();
    for task in tasks {
        match task.await.unwrap() {
            Verdict::Right(value) => {
                assert_eq!(value, 42);
                storm.right += 1;
            }
            Verdict::Wrong { .. } => storm.wrong += 1,
            Verdict::NoCode => storm.no_code += 1,
            Verdict::Locked { .. } => storm.locked += 1,
        }
    }
    storm.counted = CommandStats::take(&mut server).await.unwrap().delta(&before).of("hincrby");
    storm
}

async fn handles(url: &str, budget: u32) -> Vec<Codes<u64>> {
    let options = CodeOptions::new()
        .attempts(NonZeroU32::new(ATTEMPTS).unwrap())
        .failures(NonZeroU32::new(budget).unwrap(), Duration::from_secs(3_600))
        .cool_down(Duration::ZERO);
    let first = TestRedis::at(url).await;
    let mut handles = Vec::new();
    for _ in 0..4 {
        let codes = Codes::new(first.another().await, LOGIN, Pepper::new(&[7; 32]), options.clone());
        handles.push(codes.unwrap());
    }
    handles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_allowed_guesses_are_compared() {
    // Its own, since its commands are counted.
    let server = own::standalone(Options::default()).await;
    let url = server.url();
    let handles = handles(url, 1_000).await;
    let mut seen = BTreeMap::new();
    for round in 0..5 {
        let code = handles[0].issue("ann", &42).await.unwrap().issued().unwrap();
        let right: usize = code.expose().parse().unwrap();
        // All wrong and all different.
        let storm = storm(url, &handles, |n| format!("{:06}", (right + 1 + n) % 1_000_000)).await;
        assert_eq!((storm.right, storm.wrong, storm.no_code), (0, ATTEMPTS, 995), "round {round}");
        assert_eq!(storm.counted, u64::from(ATTEMPTS), "compared as often as counted");
        seen.insert(round, storm);
    }
    println!("1,000 guesses, all wrong: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_one_guess_is_right() {
    let server = own::standalone(Options::default()).await;
    let url = server.url();
    let handles = handles(url, 1_000).await;
    let mut successes = 0;
    for round in 0..10 {
        let code = handles[0].issue("ann", &42).await.unwrap().issued().unwrap();
        let right: usize = code.expose().parse().unwrap();
        // Every second guess is right, so that several right ones race.
        let storm = storm(url, &handles, |n| format!("{:06}", (right + n % 2 * (n + 1)) % 1_000_000)).await;
        assert!(storm.right <= 1, "round {round}: {storm:?}");
        assert!(storm.right + storm.wrong <= ATTEMPTS, "round {round}: {storm:?}");
        assert_eq!(u64::from(storm.right + storm.wrong), storm.counted, "round {round}: {storm:?}");
        successes += storm.right;
    }
    assert!(successes > 0, "no round had a right guess among the first five");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_more_codes_buys_no_more_guesses() {
    const BUDGET: u32 = 12;
    let server = own::standalone(Options::default()).await;
    let url = server.url();
    let handles = handles(url, BUDGET).await;
    let mut wrong = 0;
    // Five, five and two guesses; then nothing is issued any more.
    while let Some(code) = handles[0].issue("ann", &42).await.unwrap().issued() {
        let right: usize = code.expose().parse().unwrap();
        let storm = storm(url, &handles, |n| format!("{:06}", (right + 1 + n) % 1_000_000)).await;
        assert_eq!(storm.right, 0);
        wrong += storm.wrong;
        assert!(wrong <= BUDGET, "{wrong} were compared");
        assert_eq!(storm.locked > 0, wrong == BUDGET);
    }
    assert_eq!(wrong, BUDGET);
}
