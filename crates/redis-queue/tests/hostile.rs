//! Names, payloads and keys that try to break out, meet another's, or stop a worker.

mod common;

use common::{ask, eventually, key, next, reader};
use redis_patterns_core::{Args, ErrorKind};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Error, Queue, QueueOptions, WorkerOptions};
use std::num::NonZeroUsize;
use std::time::Duration;

on_every_topology! {
    async fn every_hostile_name_is_a_queue_of_its_own(t: TestRedis) {
        let names = hostile::small_ids();
        for (number, name) in names.iter().enumerate() {
            let pushed = Queue::new(t.redis.clone(), name).push(number.to_string()).await.unwrap();
            assert_eq!(pushed.depth(), 1, "a name met the queue of another");
        }
        assert_eq!(t.keys().await.len(), names.len());
        for name in &names {
            let queue = Queue::new(t.redis.clone(), name);
            let peeked = queue.peek(2).await.unwrap();
            assert_eq!(peeked.len(), 1);
        }
    }

    async fn hostile_payloads_arrive_as_they_were(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let mut payloads = hostile::small_ids();
        payloads.push(vec![0xA7, 1, 0, 0]);
        payloads.push(vec![0; 300_000]);
        assert!(queue.push_many(&payloads).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        for payload in &payloads {
            let job = next(&reader).await;
            assert!(job.payload() == payload);
            assert!(job.ack().await.unwrap().is_done());
        }
    }

    async fn what_is_too_large_or_too_many_is_refused_before_it_is_sent(t: TestRedis) {
        let small = QueueOptions::default().max_payload(NonZeroUsize::new(10).unwrap());
        let queue = Queue::with_options(t.redis.clone(), "q", small);
        assert!(matches!(queue.push("x".repeat(11)).await, Err(Error::Payload { bytes: 11, most: 10 })));
        assert!(matches!(queue.push_many(vec!["x"; 1_001]).await, Err(Error::Batch { most: 1_000, .. })));
        assert!(queue.push_many(vec!["x"; 1_000]).await.unwrap().is_accepted());
        assert!(queue.push_many(Vec::<&str>::new()).await.unwrap().is_accepted());
        assert_eq!(queue.depth().await.unwrap(), 1_000);
        for options in [
            WorkerOptions::default().lease(Duration::from_millis(999)),
            WorkerOptions::default().lease(Duration::MAX),
            WorkerOptions::default().block(Duration::from_millis(1)),
        ] {
            assert!(matches!(queue.reader(options).await, Err(Error::Options(_))));
        }
    }

    /// A key of another type: an error that says so, nothing lost, and the reader goes on once it
    /// is gone.
    async fn keys_of_another_type_lose_nothing(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let pending = key(&t.redis, "q", "pending");
        ask::<()>(&t.redis, "SET", &pending, Args::new().bytes("a string")).await;
        let wrong = |result: Result<_, Error>| matches!(result, Err(Error::Redis(error)) if error.code() == Some("WRONGTYPE") || error.kind() == ErrorKind::Script);
        assert!(wrong(queue.push("x").await.map(drop)));
        assert!(wrong(queue.depth().await.map(drop)));
        let reader = reader(&queue).await;
        assert!(wrong(reader.next().await.map(drop)));
        ask::<()>(&t.redis, "DEL", &pending, Args::new()).await;
        assert!(queue.push("x").await.unwrap().is_accepted());
        let job = next_after_faults(&reader).await;

        ask::<()>(&t.redis, "SET", &pending, Args::new().bytes("a string")).await;
        assert!(job.release().await.is_err());
        assert_eq!(common::processing(&t.redis, "q").await, 1, "the job is where it was");
        common::expire_leases(&t.redis, "q").await;
        assert!(wrong(queue.reap().await.map(drop)));
        ask::<()>(&t.redis, "DEL", &pending, Args::new()).await;
        eventually("the job is back", || async {
            // The reader's own sweep may be the one that brings it back.
            queue.reap().await.is_ok() && queue.depth().await.unwrap() == 1
        }).await;
    }

    async fn a_server_without_memory_refuses_pushes_and_lets_workers_go_on(t: TestRedis) {
        // A cluster's servers are shared by all tests, so this one brings its own.
        if t.topology() == redis_patterns_testkit::servers::Topology::Cluster { return; }
        let server = redis_patterns_testkit::harness::own::standalone(Default::default()).await;
        let t = TestRedis::at(server.url()).await;
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(vec!["x"; 100]).await.unwrap().is_accepted());
        let urls = [server.url().to_owned()];
        redis_patterns_testkit::faults::redis::config_set(&urls, "maxmemory", "1").await.unwrap();
        let refused = queue.push("y").await;
        assert!(matches!(refused, Err(Error::Redis(error)) if error.code() == Some("OOM")));
        let worker = queue.run(WorkerOptions::default(), |_| async {}).await.unwrap();
        eventually("the queue is drained without memory", || async { queue.depth().await.unwrap() == 0 }).await;
        assert_eq!(worker.stop().await.done, 100);
    }
}

async fn next_after_faults(reader: &redis_queue::Reader) -> redis_queue::HeldJob {
    for _ in 0..20 {
        if let Ok(Some(job)) = tokio::time::timeout(common::SOON, reader.next()).await.unwrap() {
            return job;
        }
    }
    panic!("no job after twenty faults")
}
