//! The signal that a lock is lost comes before the server gives it to another: a thousand guards
//! whose renewals stall at random moments.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockGuard, LockOptions, Locks, Redis};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use std::time::Duration;

const ROUNDS: usize = 25;
const GUARDS: usize = 40;

/// A number from `from` to `to`, spread over them by a multiplicative step.
fn spread(number: usize, from: u64, to: u64) -> u64 {
    from + (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) % (to - from)
}

/// What the server's lease has left at the moment of the signal, in ms; the way there counts
/// against it. Negative: somebody else could have had the lock.
async fn left_at_the_signal(guard: LockGuard, name: String, direct: Redis) -> i64 {
    guard.lost().await;
    let key = direct.namespace().key("lock", &Tag::of(&name));
    let left = direct.command("PTTL", &[&key], &Args::new()).await.unwrap();
    drop(guard);
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stalled_guards_hear_of_it_in_time() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let mut waiting = Vec::new();
        for number in round * GUARDS..(round + 1) * GUARDS {
            let lease = Duration::from_millis(spread(number, 400, 900));
            let options = LockOptions::new().lease(lease).unwrap();
            let options = options.renewed_for_at_most(Duration::from_secs(60)).unwrap();
            let name = format!("lock-{number}");
            let guard = Locks::new(redis.clone(), options).try_lock(&name).await.unwrap().acquired().unwrap();
            waiting.push(tokio::spawn(left_at_the_signal(guard, name, t.redis.clone())));
        }
        tokio::time::sleep(Duration::from_millis(spread(round, 0, 500))).await;
        proxy.stall();
        for guard in waiting {
            all.push(guard.await.unwrap());
        }
        proxy.resume();
    }
    assert!(proxy.counts().stalled > 0, "nothing was stalled: it proves nothing");
    all.sort_unstable();
    println!(
        "{} losses; left of the server's lease at the signal: {} ms at the least, {} ms in the middle",
        all.len(),
        all[0],
        all[all.len() / 2]
    );
    assert_eq!(all.len(), 1_000);
    assert!(all[0] > 0, "a guard heard of its loss {} ms before its expiry", all[0]);
}
