//! The signal that a lock is lost comes before the server gives it to another: a thousand guards
//! whose renewals stall at random moments.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockGuard, LockOptions, Locks, Redis};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use std::time::{Duration, SystemTime};

const ROUNDS: usize = 10;
const GUARDS: usize = 100;

/// A number from `from` to `to`, spread over them by a multiplicative step.
fn spread(number: usize, from: u64, to: u64) -> u64 {
    from + ((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % (to - from)
}

/// The machine's clock, which is the server's too, in ms.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn key(redis: &Redis, number: usize) -> Key {
    redis.namespace().key("lock", &Tag::of(format!("lock-{number}")))
}

async fn take(redis: &Redis, number: usize) -> LockGuard {
    let options = LockOptions::new().lease(Duration::from_millis(spread(number, 1_000, 2_000))).unwrap();
    let options = options.renewed_for_at_most(Duration::from_secs(60)).unwrap();
    let locks = Locks::new(redis.clone(), options);
    locks.try_lock(format!("lock-{number}")).await.unwrap().acquired().expect("the lock is free")
}

/// Lets time go by: the stall comes at a moment of its own, whatever the guards do.
async fn pass(span: Duration) {
    let _ = tokio::time::timeout(span, std::future::pending::<()>()).await;
}

/// Stalls the guards of one round at one moment, each at another point between its renewals, and
/// answers how many ms before the end of its lease each heard of its loss.
async fn round(proxy: &Proxy, redis: &Redis, direct: &Redis, round: usize) -> Vec<i64> {
    let mut waiting = Vec::new();
    for number in round * GUARDS..(round + 1) * GUARDS {
        let guard = take(redis, number).await;
        let heard = tokio::spawn(async move {
            guard.lost().await;
            let at = now_ms();
            drop(guard);
            at
        });
        waiting.push((number, heard));
    }
    pass(Duration::from_millis(spread(round, 0, 500))).await;
    proxy.stall();
    // What was passed on before the stall has been done by the time this connection is answered.
    pass(Duration::from_millis(50)).await;
    let mut left = Vec::new();
    for (number, heard) in waiting {
        let ends: i64 = direct.command("PEXPIRETIME", &[&key(direct, number)], &Args::new()).await.unwrap();
        left.push((ends, heard));
    }
    let mut before = Vec::new();
    for (ends, heard) in left {
        assert!(ends > 0, "the lease was over before it was read");
        before.push(ends - heard.await.unwrap());
    }
    proxy.resume();
    before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stalled_guards_hear_of_it_in_time() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    let mut all = Vec::new();
    for number in 0..ROUNDS {
        all.extend(round(&proxy, &redis, &t.redis, number).await);
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
    assert!(all[0] > 0, "a guard heard of its loss {} ms after the end of its lease", -all[0]);
}
