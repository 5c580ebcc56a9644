//! The fence over everything that makes Redis lose data: an asynchronous failover to a replica that
//! was cut off, FLUSHALL, eviction. Beside it runs what most do, a plain INCR, which must fail the
//! same check: it shows that the faults happened.

#![allow(clippy::unwrap_used)]

use redis_lock::{LockOptions, Locks, Redis};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::harness::own;
use redis_patterns_testkit::servers::{Node, Options, wait_until};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The fences of both kinds, in the order of their grants.
#[derive(Default)]
struct Issued {
    ours: Vec<u64>,
    incr: Vec<u64>,
}

impl Issued {
    async fn grants(&mut self, redis: &Redis, how_many: usize) {
        let locks = Locks::new(redis.clone(), LockOptions::new());
        for _ in 0..how_many {
            let guard = locks.try_lock("a").await.unwrap().acquired().expect("the lock is free");
            self.ours.push(guard.fence().unwrap().get());
            let counted: u64 = redis.command("INCR", &[&plain(redis)], &Args::new()).await.unwrap();
            self.incr.push(counted);
            let _ = guard.release().await.unwrap();
        }
    }
}

/// The counter beside the lock, in the same slot.
fn plain(redis: &Redis) -> Key {
    redis.namespace().part("lock", &Tag::of("a"), "plain")
}

fn fence(redis: &Redis) -> Key {
    redis.namespace().part("lock", &Tag::of("a"), "f")
}

/// Every place where a fence is not above all before it.
fn faults(fences: &[u64]) -> usize {
    let (mut highest, mut faults) = (0, 0);
    for &fence in fences {
        faults += usize::from(fence <= highest);
        highest = highest.max(fence);
    }
    faults
}

async fn connect(node: &Node) -> Redis {
    Redis::connect(&format!("redis://{}", node.address())).await.unwrap()
}

fn admin(node: &Node, words: &[&str]) -> String {
    node.conn().unwrap().cmd(words).unwrap().text()
}

/// Both fences on every node that is to know them.
fn wait_replicated(node: &Node, keys: &[Key]) {
    let known = || {
        let mut conn = node.conn().unwrap();
        keys.iter().all(|key| conn.cmd(&["EXISTS", key.as_str()]).unwrap().int() == Some(1))
    };
    wait_until(PATIENCE, "the replica to know the fences", known).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_rises_over_failover_flush_and_eviction_and_a_plain_counter_does_not() {
    let servers = own::replicated(Options::new().replicas(2)).await;
    let (primary, lagging) = (&servers.nodes()[0], &servers.nodes()[2]);
    let mut issued = Issued::default();

    let redis = connect(primary).await;
    issued.grants(&redis, 5).await;
    wait_replicated(lagging, &[plain(&redis), fence(&redis)]);
    // Nobody listens there: the replica keeps what it has and hears no more.
    admin(lagging, &["REPLICAOF", "127.0.0.1", "1"]);
    issued.grants(&redis, 5).await;
    primary.kill().unwrap();
    admin(lagging, &["REPLICAOF", "NO", "ONE"]);
    tokio::time::timeout(PATIENCE, redis.close()).await.expect("closing a dead connection ends");

    let redis = connect(lagging).await;
    issued.grants(&redis, 5).await;
    let after_failover = faults(&issued.incr);

    for _ in 0..3 {
        admin(lagging, &["FLUSHALL"]);
        issued.grants(&redis, 2).await;
    }
    let after_flush = faults(&issued.incr);

    evict(lagging, &[plain(&redis), fence(&redis)]);
    issued.grants(&redis, 5).await;
    let after_eviction = faults(&issued.incr);

    println!(
        "{} grants; not rising: ours {}, INCR {after_failover} after the failover, {after_flush} after \
         FLUSHALL, {after_eviction} after eviction",
        issued.ours.len(),
        faults(&issued.ours)
    );
    assert_eq!(faults(&issued.ours), 0, "{:?}", issued.ours);
    assert!(after_failover > 0, "the failover lost nothing: it proves nothing");
    assert!(after_flush > after_failover, "FLUSHALL lost nothing: it proves nothing");
    assert!(after_eviction > after_flush, "eviction lost nothing: it proves nothing");
}

/// Fills the memory until both keys have been evicted, then makes room again.
fn evict(node: &Node, keys: &[Key]) {
    let mut conn = node.conn().unwrap();
    conn.cmd(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).unwrap();
    let used: u64 = conn.info("memory", "used_memory").unwrap().parse().unwrap();
    conn.cmd(&["CONFIG", "SET", "maxmemory", &(used + 1_000_000).to_string()]).unwrap();
    let filler = "x".repeat(50_000);
    let mut number = 0;
    while keys.iter().any(|key| conn.cmd(&["EXISTS", key.as_str()]).unwrap().int() == Some(1)) {
        number += 1;
        assert!(number < 100_000, "nothing is evicted");
        // Refused where nothing that is big enough was evicted in time; the next one evicts more.
        let _ = conn.cmd(&["SET", &format!("filler-{number}"), &filler]);
    }
    conn.cmd(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
}
