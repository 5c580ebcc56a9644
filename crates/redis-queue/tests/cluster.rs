//! A failover of the queue's slot: workers go on, and nobody is taken for dead.

mod common;

use common::{ask, eventually, key};
use redis_patterns_core::Args;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_queue::{Queue, WorkerOptions};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_after_a_failover_and_nobody_is_taken_for_dead() {
    if TestRedis::cluster().await.is_none() {
        return;
    }
    let cluster = own::cluster(Options::default()).await;
    let t = TestRedis::at(cluster.url()).await;
    let queue = Queue::new(t.redis.clone(), "q");
    let seen: Arc<Mutex<BTreeSet<Vec<u8>>>> = Arc::default();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let redis = redis_patterns_core::Redis::builder(cluster.url())
            .namespace(t.redis.namespace().clone())
            .connect()
            .await
            .unwrap();
        let noted = seen.clone();
        let handler = move |job: redis_queue::Job| {
            noted.lock().unwrap().insert(job.payload().to_vec());
            std::future::ready(())
        };
        workers.push(Queue::new(redis, "q").run(WorkerOptions::default(), handler).await.unwrap());
    }
    let beats = key(&t.redis, "q", "beats");
    eventually("both are seen", || async { ask::<u64>(&t.redis, "ZCARD", &beats, Args::new()).await == 2 })
        .await;
    let slot = beats.slot();
    {
        let round = 0_u8;
        let before: BTreeSet<String> = common::registered(&t.redis, "q").await.into_iter().collect();
        tokio::task::block_in_place(|| cluster.failover(slot).map(drop)).unwrap();
        eventually("a push gets through", || async {
            matches!(queue.push([round]).await, Ok(pushed) if pushed.is_accepted())
        })
        .await;
        eventually("the job ran", || async { seen.lock().unwrap().contains(&[round][..]) }).await;
        // Both have renewed their lease at the new primary.
        let now: Vec<String> = t.redis.keyless("TIME", &Args::new()).await.unwrap();
        let now_ms = now[0].parse::<i64>().unwrap() * 1_000;
        let leases = key(&t.redis, "q", "leases");
        eventually("both beat again", || async {
            // A lease is 15 s, so these were renewed after the moment above.
            let args = Args::new().int(now_ms + 16_000).word("+inf");
            ask::<u64>(&t.redis, "ZCOUNT", &leases, args).await == 2
        })
        .await;
        let after: BTreeSet<String> = common::registered(&t.redis, "q").await.into_iter().collect();
        assert_eq!(before, after, "a lease was ended by the failover of round {round}");
    }
    for worker in workers {
        assert_eq!(worker.stop().await.lost, 0);
    }
}
