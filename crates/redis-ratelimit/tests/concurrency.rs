//! Slots: never more than the limit, and none stays with a holder that is gone.

mod common;

use common::{HOUR, many};
use redis_patterns_core::{Args, Key, Namespace, Redis, Tag};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Concurrency, ConcurrencyLimiter, Entry, Slot};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ANSWER: Duration = Duration::from_secs(20);

fn limiter(redis: &Redis, limit: u64, lease: Duration) -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(redis.clone(), Concurrency::new("slots", many(limit), lease).unwrap())
}

async fn enter(limiter: &ConcurrencyLimiter, subject: &str) -> Option<Slot> {
    match limiter.enter(subject).await.unwrap() {
        Entry::Admitted(slot) => Some(slot),
        Entry::Denied(_) => None,
    }
}

fn slots_key(redis: &Redis, subject: &str) -> Key {
    redis.namespace().part("rl-slots", &Tag::of(subject), "slots")
}

async fn taken(redis: &Redis, subject: &str) -> u64 {
    redis.command("ZCARD", &[&slots_key(redis, subject)], &Args::new()).await.unwrap()
}

/// When the only lease ends.
async fn ends_us(redis: &Redis, subject: &str) -> Option<u64> {
    let args = Args::new().int(0).int(0).word("WITHSCORES");
    let lease: Vec<String> = redis.command("ZRANGE", &[&slots_key(redis, subject)], &args).await.unwrap();
    lease.get(1).map(|score| score.parse::<f64>().unwrap() as u64)
}

on_every_topology! {
    async fn a_crowd_is_never_more_than_the_limit(t: TestRedis) {
        let limiter = limiter(&t.redis, 3, HOUR);
        let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let visitor = |limiter: ConcurrencyLimiter, now: Arc<AtomicU64>, most: Arc<AtomicU64>| async move {
            let mut visits = 0;
            while visits < 10 {
                let Some(slot) = enter(&limiter, "ann").await else { continue };
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                assert!(slot.release().await.unwrap());
                visits += 1;
            }
        };
        let crowd: Vec<_> = (0..12).map(|_| tokio::spawn(visitor(limiter.clone(), now.clone(), most.clone()))).collect();
        for visitor in crowd {
            visitor.await.unwrap();
        }
        println!("12 visitors, 10 visits each: {} at the same time", most.load(Ordering::SeqCst));
        assert!(most.load(Ordering::SeqCst) <= 3);
        assert_eq!(taken(&t.redis, "ann").await, 0);
    }

    async fn a_slot_comes_back_on_release_on_drop_and_with_its_subject_only(t: TestRedis) {
        let limiter = limiter(&t.redis, 1, HOUR);
        let slot = enter(&limiter, "ann").await.unwrap();
        assert!(enter(&limiter, "ann").await.is_none());
        let other = enter(&limiter, "bob").await.expect("subjects count apart");
        assert!(slot.release().await.unwrap());
        drop(enter(&limiter, "ann").await.unwrap());
        eventually("a dropped slot is free", async || taken(&t.redis, "ann").await == 0).await;
        assert_eq!(taken(&t.redis, "bob").await, 1);
        assert!(other.is_held() && other.release().await.unwrap());
    }

    async fn a_slot_is_extended_while_its_guard_lives(t: TestRedis) {
        let limiter = limiter(&t.redis, 1, Duration::from_millis(1_500));
        let slot = enter(&limiter, "ann").await.unwrap();
        let mut last = ends_us(&t.redis, "ann").await.unwrap();
        for _ in 0..4 {
            eventually("the lease is extended", async || ends_us(&t.redis, "ann").await.unwrap() > last).await;
            last = ends_us(&t.redis, "ann").await.unwrap();
            assert!(enter(&limiter, "ann").await.is_none(), "a held slot was given away");
        }
        assert!(slot.is_held() && slot.release().await.unwrap());
    }

    async fn a_holder_learns_that_its_slot_is_lost(t: TestRedis) {
        let limiter = limiter(&t.redis, 1, Duration::from_millis(600));
        let slot = enter(&limiter, "ann").await.unwrap();
        assert!(limiter.reset("ann").await.unwrap());
        let other = enter(&limiter, "ann").await.expect("the slot was forgotten");
        tokio::time::timeout(ANSWER, slot.lost()).await.expect("it never learnt");
        assert!(!slot.is_held());
        assert!(!slot.release().await.unwrap(), "it was not held to the end");
        assert!(other.is_held() || ends_us(&t.redis, "ann").await.is_some(), "another's slot was released");
        drop(other);
    }

    async fn fewer_slots_than_are_taken_admit_nobody_until_enough_are_free(t: TestRedis) {
        let wide = limiter(&t.redis, 3, HOUR);
        let narrow = limiter(&t.redis, 1, HOUR);
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(enter(&wide, "ann").await.unwrap());
        }
        while let Some(slot) = slots.pop() {
            assert!(enter(&narrow, "ann").await.is_none(), "{} are taken of 1", slots.len() + 1);
            assert!(slot.release().await.unwrap());
        }
        assert!(enter(&narrow, "ann").await.is_some());
    }

    /// The processes die without a word; their slots come back when their leases end.
    async fn killed_holders_free_their_slots_within_their_lease(t: TestRedis) {
        let env = [("URL", t.url()), ("NAMESPACE", t.redis.namespace().as_str())];
        let limiter = limiter(&t.redis, 2, Duration::from_millis(900));
        let mut holders = Vec::new();
        for _ in 0..2 {
            let mut holder = Worker::spawn_self_test("holder", &env).unwrap();
            assert_eq!(holder.next_line(ANSWER).await.unwrap(), "holding");
            holders.push(holder);
        }
        for _ in 0..20 {
            assert!(enter(&limiter, "ann").await.is_none(), "a third was let in");
        }
        for holder in &mut holders {
            holder.kill().await.unwrap();
        }
        let slots = Mutex::new(Vec::new());
        for _ in 0..2 {
            eventually("a dead holder's slot is free", async || {
                let slot = enter(&limiter, "ann").await;
                let free = slot.is_some();
                slots.lock().unwrap().extend(slot);
                free
            })
            .await;
        }
        assert!(enter(&limiter, "ann").await.is_none(), "more than two slots came back");
    }
}

/// Holds a slot, and extends it, until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn holder() {
    if !process::is_worker("holder") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let (url, namespace) = (std::env::var("URL").unwrap(), std::env::var("NAMESPACE").unwrap());
    let redis = Redis::builder(&url).namespace(Namespace::new(&namespace).unwrap());
    let redis = Box::pin(redis.connect()).await.unwrap();
    let slot = enter(&limiter(&redis, 2, Duration::from_millis(900)), "ann").await.unwrap();
    // sleep: longer than a lease, so that only a holder that extends it still holds.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(slot.is_held());
    process::say("holding");
    let _ = lines.recv();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_grant_was_lost_or_not_awaited_comes_back() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let redis = through.redis.with_namespace(beside.redis.namespace().clone());
    let limiter = limiter(&redis, 1, HOUR);
    drop(enter(&limiter, "warm").await);
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    assert!(limiter.enter("ann").await.is_err());
    assert_eq!(proxy.counts().lost_replies, 1, "the fault did not happen");
    eventually("the slot is free", async || taken(&beside.redis, "ann").await == 0).await;

    // Dropped at its first wait, when the request may have gone out.
    for _ in 0..20 {
        let entering = Box::pin(limiter.enter("bob"));
        tokio::select! {
            biased;
            _ = entering => {}
            () = tokio::task::yield_now() => {}
        }
    }
    eventually("the slot is free", async || enter(&limiter, "bob").await.is_some()).await;
    eventually("the slot is free", async || taken(&beside.redis, "bob").await == 0).await;
    beside.delete_keys().await;
}
