//! Waiting for replicas: what it gives, and what it does not.

#![allow(clippy::unwrap_used)]

use redis_lock::{Durability, Error, LockGuard, LockOptions, Locks, Redis, Released};
use redis_patterns_core::{Args, BootInstant, Tag};
use redis_patterns_testkit::harness::{eventually, own};
use redis_patterns_testkit::servers::{Node, Options};
use std::num::NonZeroU32;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn options(replicas: u32) -> LockOptions {
    let count = NonZeroU32::new(replicas).unwrap();
    LockOptions::new().lease(HOUR).unwrap().durability(Durability::Replicas(count))
}

async fn connect(node: &Node) -> Redis {
    // WAIT answers once the replicas have, which a loaded machine may take its time for.
    let deadline = Duration::from_secs(4);
    Redis::builder(&format!("redis://{}", node.address())).command_deadline(deadline).connect().await.unwrap()
}

async fn take(locks: &Locks) -> LockGuard {
    locks.lock("a", Duration::ZERO).await.unwrap().acquired().expect("the lock is free")
}

fn admin(node: &Node, words: &[&str]) -> String {
    node.conn().unwrap().cmd(words).unwrap().text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_at_the_replicas_when_it_is_returned() {
    let servers = own::replicated(Options::new().replicas(2)).await;
    let primary = connect(&servers.nodes()[0]).await;
    let locks = Locks::new(primary.clone(), options(2));
    let lock = primary.namespace().key("lock", &Tag::of("a"));
    let value = |node: &Node| admin(node, &["GET", lock.as_str()]);
    for _ in 0..20 {
        let guard = take(&locks).await;
        let fence = guard.fence().unwrap().to_string();
        for node in &servers.nodes()[1..] {
            assert!(value(node).ends_with(&fence), "returned before a replica had it");
        }
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }
    // Permits and hand-overs are waited for alike.
    let permit = locks.semaphore("a", NonZeroU32::MIN).try_acquire(NonZeroU32::MIN).await.unwrap();
    let holders = primary.namespace().key("semaphore", &Tag::of("a"));
    for node in &servers.nodes()[1..] {
        assert_eq!(node.conn().unwrap().cmd(&["HLEN", holders.as_str()]).unwrap().int(), Some(1));
    }
    assert!(permit.acquired().is_some());
    let guard = take(&locks).await;
    let next = tokio::spawn({
        let locks = locks.clone();
        async move { locks.lock("a", HOUR).await.unwrap().acquired().unwrap() }
    });
    eventually("it queues", async || locks.inspect("a").await.unwrap().waiting == 1).await;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    let next = next.await.unwrap();
    let fence = next.fence().unwrap().to_string();
    for node in &servers.nodes()[1..] {
        assert!(value(node).ends_with(&fence));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_too_few_replicas_have_is_an_error_and_freed() {
    let servers = own::replicated(Options::new().replicas(1)).await;
    let primary = connect(&servers.nodes()[0]).await;
    let locks = Locks::new(primary.clone(), options(2));
    let answer = locks.try_lock("a").await;
    assert!(matches!(answer, Err(Error::TooFewReplicas { acknowledged: 1 })), "{answer:?}");
    locks.close().await;
    let lock = primary.namespace().key("lock", &Tag::of("a"));
    assert_eq!(primary.command::<i64>("EXISTS", &[&lock], &Args::new()).await.unwrap(), 0);
}

/// WAIT blocks its connection; on one that is shared, everything behind it would stand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_replicas_holds_up_nobody_else() {
    let servers = own::replicated(Options::new().replicas(1)).await;
    let primary = connect(&servers.nodes()[0]).await.with_deadline(Duration::from_secs(5));
    let durable = Locks::new(primary.clone(), options(3));
    let waits = tokio::spawn(async move { durable.try_lock("a").await.map(drop) });
    let blocked = async || admin(&servers.nodes()[0], &["INFO", "clients"]).contains("blocked_clients:1");
    eventually("one waits for replicas", blocked).await;
    let started = BootInstant::now();
    let others = Locks::new(primary.clone(), LockOptions::new());
    let guard = others.try_lock("b").await.unwrap().acquired().unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    assert!(!waits.is_finished() && started.elapsed() < Duration::from_secs(5));
    assert!(matches!(waits.await.unwrap(), Err(Error::TooFewReplicas { acknowledged: 1 })));
}

/// One of two replicas has the grant and says so, the other is promoted: the lock is granted twice.
/// The fence of the second is higher all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_cut_off_may_be_promoted_all_the_same() {
    let servers = own::replicated(Options::new().replicas(2)).await;
    let (primary, cut_off) = (&servers.nodes()[0], &servers.nodes()[2]);
    admin(cut_off, &["REPLICAOF", "127.0.0.1", "1"]);
    let first = take(&Locks::new(connect(primary).await, options(1))).await;
    primary.kill().unwrap();
    admin(cut_off, &["REPLICAOF", "NO", "ONE"]);
    let second = take(&Locks::new(connect(cut_off).await, LockOptions::new())).await;
    assert!(first.fence().is_ok(), "the first holder still believes that it holds the lock");
    assert!(second.fence().unwrap() > first.fence().unwrap());
}

/// A WAIT that is under way blocks its connection, also if nobody waits for its answer any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_request_does_not_make_the_next_one_fail() {
    let servers = own::replicated(Options::new().replicas(1)).await;
    let primary = connect(&servers.nodes()[0]).await.with_deadline(Duration::from_secs(20));
    let locks = Locks::new(primary.clone(), options(1));
    let guard = take(&locks).await;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    // The replica stands still, so WAIT blocks for all its time; then the request is dropped.
    let replica = &servers.nodes()[1];
    replica.stop().unwrap();
    let waits = tokio::spawn({
        let locks = locks.clone();
        async move { locks.try_lock("a").await.map(drop) }
    });
    let blocked = async || admin(&servers.nodes()[0], &["INFO", "clients"]).contains("blocked_clients:1");
    eventually("one waits for replicas", blocked).await;
    waits.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    let next = tokio::spawn({
        let locks = locks.clone();
        async move { locks.try_lock("b").await.map(|answer| answer.acquired().is_some()) }
    });
    eventually("the next has been granted and waits for the connection", async || {
        locks.inspect("b").await.unwrap().holder.is_some()
    })
    .await;
    replica.cont().unwrap();
    assert!(next.await.unwrap().unwrap());
    locks.close().await;
}
