//! What the queues say of themselves, on a server and a cluster.

mod common;

use common::{examine_with, options, told};
use redis_monitor::Severity;
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Outcome, Queue, WorkerOptions};

on_every_topology! {
    async fn waiting_jobs_dead_ones_and_missing_workers_are_told(t: TestRedis) {
        let look = || examine_with(t.url(), options().namespace(t.redis.namespace().clone()));
        let mails = Queue::new(t.redis.clone(), "mails & more");
        let _ = mails.push("hello").await.unwrap();
        let report = look().await;
        assert_eq!(told(&report, "no-worker", Severity::Critical), "1 jobs wait for a worker");
        assert_eq!(report.of("no-worker").next().unwrap().server, "queue mails & more");
        let queue = &report.queues[0];
        assert_eq!((report.queues.len(), queue.name.as_str(), queue.pending, queue.dead), (1, "mails & more", 1, 0));

        let bury = |_| async { Outcome::Dead { reason: "no use".into() } };
        let worker = mails.run(WorkerOptions::default(), bury).await.unwrap();
        redis_patterns_testkit::harness::eventually("buried", || async { mails.stats().await.unwrap().dead == 1 }).await;
        let report = look().await;
        assert_eq!(report.of("no-worker").count(), 0);
        assert_eq!((report.queues[0].pending, report.queues[0].workers), (0, 1));
        assert_eq!(told(&report, "dead-letters", Severity::Warning), "1 jobs were given up");
        worker.stop().await;

        let letter = mails.dead_letters(None, 1).await.unwrap().remove(0);
        assert!(mails.delete_dead(&letter).await.unwrap());
        assert_eq!(look().await.of("dead-letters").count(), 0);

        // A lease that ended long ago, and nobody there to take the jobs back.
        let leases = t.redis.namespace().part("q", &Tag::of("mails & more"), "leases");
        t.redis.command::<()>("ZADD", &[&leases], &Args::new().int(1).bytes("0".repeat(32))).await.unwrap();
        assert_eq!(told(&look().await, "lapsed-worker", Severity::Warning), "1 workers");
    }
}
