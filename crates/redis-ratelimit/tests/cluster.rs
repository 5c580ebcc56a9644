//! What only a cluster can break: slots, scripts unknown to a node, a primary that dies.

mod common;

use common::named;
use redis_patterns_core::{Redis, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::RateLimiter;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const IDS: usize = 10_000;
const TASKS: usize = 20;

/// Two limits in one script, so that two keys of each subject have to be on one node.
fn two_limits(redis: &Redis) -> RateLimiter {
    RateLimiter::new(redis.clone(), named("FixedWindow", "one", 1))
        .and(named("SlidingWindow", "two", 1))
        .unwrap()
}

/// Checks every subject once, from many tasks; in the middle every node forgets its scripts.
async fn check_all(t: &TestRedis, allowed: bool) {
    let halves = [0..IDS / 2, IDS / 2..IDS];
    for half in halves {
        for node in &mut t.admin_nodes() {
            node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
        }
        let task = |number: usize| {
            let (limiter, half) = (two_limits(&t.redis), half.clone());
            tokio::spawn(async move {
                for id in half.skip(number).step_by(TASKS) {
                    // Neither NOSCRIPT nor CROSSSLOT nor MOVED reaches the caller.
                    let decision = limiter.check(format!("user-{id}")).await.unwrap();
                    assert_eq!(decision.is_allowed(), allowed, "user-{id}: {decision:?}");
                }
            })
        };
        let tasks: Vec<_> = (0..TASKS).map(task).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_subjects_over_all_primaries_with_scripts_forgotten_in_the_middle() {
    let Some(t) = TestRedis::cluster().await else { return };
    check_all(&t, true).await;
    check_all(&t, false).await;
    let pattern = format!("{}:*", t.redis.namespace().as_str());
    let mut nodes = t.admin_nodes();
    let spread: Vec<usize> =
        nodes.iter_mut().map(|node| node.cmd(&["KEYS", &pattern]).unwrap().items().len()).collect();
    assert_eq!(spread.iter().sum::<usize>(), 2 * IDS);
    assert!(spread.len() == 3 && spread.iter().all(|&keys| keys > IDS / 3), "{spread:?}");
    println!("{IDS} subjects, keys on each primary: {spread:?}");
    t.delete_keys().await;
}

const LIMIT: u64 = 3;

/// Half of the subjects has one kind, half the other.
fn limiter_of(redis: &Redis, id: usize) -> RateLimiter {
    RateLimiter::new(redis.clone(), named(["FixedWindow", "SlidingLog"][id % 2], "test", LIMIT))
}

/// Checks every subject once, from many tasks; answers who was admitted, and how many got an error.
async fn once_each(redis: &Redis, asked: Arc<AtomicUsize>) -> (HashSet<usize>, usize) {
    let task = |number: usize| {
        let (redis, asked) = (redis.clone(), asked.clone());
        tokio::spawn(async move {
            let (mut admitted, mut failed) = (Vec::new(), 0);
            for id in (0..IDS).skip(number).step_by(TASKS) {
                match limiter_of(&redis, id).check(format!("user-{id}")).await {
                    Ok(decision) => admitted.extend(decision.is_allowed().then_some(id)),
                    Err(error) => {
                        assert!(error.is_outage(), "{error}");
                        failed += 1;
                    }
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
            (admitted, failed)
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    let (mut admitted, mut failed) = (HashSet::new(), 0);
    for task in tasks {
        let (more, errors) = task.await.unwrap();
        admitted.extend(more);
        failed += errors;
    }
    (admitted, failed)
}

/// A primary dies in the middle. Replication is asynchronous, so counts that the dead one had
/// acknowledged may be gone with it; nothing else may admit too much.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_admits_too_much_only_by_the_counts_it_lost() {
    let cluster = own::cluster(Options::new()).await;
    let t = TestRedis::at(cluster.url()).await;
    let redis = t.redis.with_deadline(Duration::from_secs(2));
    let slot = Tag::of("user-0").slot();
    let asked = Arc::new(AtomicUsize::new(0));
    let asking = tokio::spawn({
        let (redis, asked) = (redis.clone(), asked.clone());
        async move { once_each(&redis, asked).await }
    });
    eventually("half of them were asked", async || asked.load(Ordering::Relaxed) > IDS / 2).await;
    for node in &mut t.admin_nodes() {
        node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
    }
    let old = cluster.primary_of(slot).unwrap();
    old.kill().unwrap();
    cluster.wait_new_primary(slot, old).unwrap();
    let (acknowledged, errors) = asking.await.unwrap();
    let (mut lost, mut unheard, mut over) = (0, 0, 0);
    for id in 0..IDS {
        let (limiter, subject) = (limiter_of(&t.redis, id), format!("user-{id}"));
        // What the promoted replica has.
        let stored = LIMIT - limiter.peek(&subject).await.unwrap().remaining;
        let heard = u64::from(acknowledged.contains(&id));
        assert!(stored <= 1, "{subject}: one request was counted {stored} times");
        // Of three shards, two had no failover: they lost nothing.
        if !same_shard(Tag::of(&subject).slot(), slot) {
            assert!(stored >= heard, "{subject}: a count was lost on a shard that did not fail");
        }
        lost += heard.saturating_sub(stored);
        unheard += stored.saturating_sub(heard);
        let mut more = 0;
        for _ in 0..=LIMIT {
            more += u64::from(limiter.check(&subject).await.unwrap().is_allowed());
        }
        assert_eq!(more, LIMIT - stored, "{subject}: the rest of the limit, no more and no less");
        over += (heard + more).saturating_sub(LIMIT);
    }
    println!(
        "failover: {over} admitted too many, {lost} counts lost with the dead primary, {unheard} counts of lost replies, {errors} errors"
    );
    assert!(over <= lost, "{over} too many, {lost} lost");
    assert!(acknowledged.len() + errors == IDS, "somebody was denied below the limit");
}

/// The test kit's clusters give each primary a third of the slots.
fn same_shard(one: u16, other: u16) -> bool {
    let shard = |slot: u16| (slot.min(16_382)) / 5_461;
    shard(one) == shard(other)
}
