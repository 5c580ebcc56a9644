//! One logical queue over several shards.

mod common;

use common::{eventually, expire_leases, jobs, next, reader, text};
use redis_patterns_core::Tag;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Pushed, QueueOptions, ShardedQueue, WorkerOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU16, NonZeroU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHARDS: u16 = 6;

fn sharded(t: &TestRedis) -> ShardedQueue {
    ShardedQueue::new(t.redis.clone(), "q", NonZeroU16::new(SHARDS).unwrap())
}

async fn depths(queue: &ShardedQueue) -> Vec<u64> {
    let mut depths = Vec::new();
    for shard in queue.shards() {
        depths.push(shard.depth().await.unwrap());
    }
    depths
}

on_every_topology! {
    async fn pushes_spread_over_the_shards_and_each_job_runs_once(t: TestRedis) {
        let queue = sharded(&t);
        let slots: BTreeSet<u16> = (0..SHARDS).map(|shard| Tag::of(format!("q:{shard}")).slot()).collect();
        assert_eq!(slots.len(), usize::from(SHARDS), "one tag each");
        for n in 0..600 { assert!(queue.push(n.to_string()).await.unwrap().is_accepted()); }
        assert_eq!(queue.depth().await.unwrap(), 600);
        assert!(depths(&queue).await.iter().all(|depth| (90..=110).contains(depth)), "{:?}", depths(&queue).await);
        let ran: Arc<Mutex<BTreeMap<Vec<u8>, u32>>> = Arc::default();
        let noted = ran.clone();
        let worker = queue.run(WorkerOptions::default(), move |job| {
            *noted.lock().unwrap().entry(job.payload().to_vec()).or_default() += 1;
            async {}
        }).await.unwrap();
        eventually("all ran", || async { ran.lock().unwrap().len() == 600 }).await;
        assert_eq!(worker.stop().await.done, 600);
        assert!(ran.lock().unwrap().values().all(|&times| times == 1));
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    /// Shards that others filled get less.
    async fn a_deeper_shard_is_passed_over(t: TestRedis) {
        let queue = sharded(&t);
        let deep = queue.shards().next().unwrap();
        assert!(deep.push_many(vec!["x"; 500]).await.unwrap().is_accepted());
        for _ in 0..300 { assert!(queue.push("y").await.unwrap().is_accepted()); }
        let depths = depths(&queue).await;
        assert!(depths[0] <= 530, "{depths:?}");
        assert!(depths[1..].iter().all(|&depth| depth >= 40), "{depths:?}");
    }

    async fn only_a_queue_whose_shards_are_all_full_is_full(t: TestRedis) {
        let options = QueueOptions::default().max_len(NonZeroU64::new(2).unwrap());
        let queue = ShardedQueue::with_options(t.redis.clone(), "q", NonZeroU16::new(SHARDS).unwrap(), &options);
        for _ in 0..2 * SHARDS { assert!(queue.push("x").await.unwrap().is_accepted()); }
        assert_eq!(queue.push("x").await.unwrap(), Pushed::Full { depth: 2 });
        assert_eq!(depths(&queue).await, [2; SHARDS as usize]);
    }

    async fn a_key_has_one_shard_and_its_jobs_their_order(t: TestRedis) {
        let queue = sharded(&t);
        let keys: Vec<String> = (0..50).map(|n| format!("customer {n}")).collect();
        for round in 0..3 {
            for key in &keys { assert!(queue.for_key(key).push(format!("{key}/{round}")).await.unwrap().is_accepted()); }
        }
        let mut met: BTreeMap<String, usize> = BTreeMap::new();
        let mut used = 0;
        for shard in queue.shards() {
            let mut orders: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for job in shard.peek(1_000).await.unwrap() {
                let text = String::from_utf8(job.payload().to_vec()).unwrap();
                let (key, round) = text.split_once('/').unwrap();
                orders.entry(key.to_owned()).or_default().push(round.to_owned());
            }
            used += usize::from(!orders.is_empty());
            for (key, order) in orders {
                assert_eq!(order, ["0", "1", "2"]);
                *met.entry(key).or_default() += 1;
            }
        }
        assert!(met.len() == 50 && met.values().all(|&shards| shards == 1) && used > 3, "{met:?}");
    }

    /// One shard whose jobs never end holds up no other; each worker reads each shard, so one that
    /// leaves takes none with it.
    async fn every_worker_serves_every_shard(t: TestRedis) {
        let queue = sharded(&t);
        let stuck = queue.shards().next().unwrap().clone();
        let options = WorkerOptions::default().concurrency(jobs(2)).drain(Duration::from_millis(10));
        let handler = |job: redis_queue::Job| async move {
            if job.payload() == b"stuck" { std::future::pending::<()>().await; }
        };
        let leaving = queue.run(options.clone(), handler).await.unwrap();
        let staying = queue.run(options, handler).await.unwrap();
        for shard in queue.shards() { assert_eq!(shard.stats().await.unwrap().workers.len(), 2); }
        assert!(stuck.push_many(vec!["stuck"; 100]).await.unwrap().is_accepted());
        let others_done = || async { depths(&queue).await[1..].iter().all(|&depth| depth == 0) };
        for shard in queue.shards().skip(1) { assert!(shard.push_many(vec!["x"; 100]).await.unwrap().is_accepted()); }
        eventually("the others are done", others_done).await;
        assert!(stuck.depth().await.unwrap() >= 98);
        leaving.stop().await;
        for shard in queue.shards() { assert_eq!(shard.stats().await.unwrap().workers.len(), 1); }
        for shard in queue.shards().skip(1) { assert!(shard.push_many(vec!["x"; 100]).await.unwrap().is_accepted()); }
        eventually("one worker serves all", others_done).await;
        assert_eq!(staying.stop().await.lost, 0);
    }

    async fn each_shard_gives_back_the_jobs_of_the_dead_in_order(t: TestRedis) {
        let queue = sharded(&t);
        for (number, shard) in queue.shards().enumerate() {
            let name = format!("q:{number}");
            assert!(shard.push_many(["a", "b", "c"]).await.unwrap().is_accepted());
            let dead = reader(shard).await;
            let held = [next(&dead).await, next(&dead).await];
            expire_leases(&t.redis, &name).await;
            assert_eq!(shard.reap().await.unwrap().jobs, 2);
            drop(held);
        }
        for shard in queue.shards() {
            let reader = reader(shard).await;
            for expected in [("a", 2), ("b", 2), ("c", 1)] {
                let job = next(&reader).await;
                assert_eq!((text(&job).as_str(), job.delivery()), expected);
                assert!(job.ack().await.unwrap().is_done());
            }
        }
    }
}
