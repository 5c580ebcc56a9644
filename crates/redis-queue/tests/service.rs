//! Handlers that are tower services.

mod common;

use common::{eventually, jobs};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Job, Outcome, Queue, WorkerOptions};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::limit::ConcurrencyLimitLayer;
use tower::util::BoxCloneService;
use tower::{Layer as _, service_fn};

on_every_topology! {
    async fn a_service_with_layers_handles_jobs_as_a_handler_does(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let names = ["done", "dead", "error", "done"].into_iter().cycle().take(40);
        assert!(queue.push_many(names).await.unwrap().is_accepted());
        let running = Arc::new(AtomicUsize::new(0));
        let service = service_fn(move |job: Job| {
            let running = running.clone();
            async move {
                assert!(running.fetch_add(1, Ordering::SeqCst) < 2, "the layer lets two in");
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                match job.payload() {
                    b"dead" => Ok(Outcome::Dead { reason: "told to".to_owned() }),
                    b"error" => Err("no such address"),
                    _ => Ok(Outcome::Done),
                }
            }
        });
        // Boxed: a service that can be cloned and sent, but not shared.
        let service = BoxCloneService::new(ConcurrencyLimitLayer::new(2).layer(service));
        let options = WorkerOptions::default().concurrency(jobs(16)).max_failures(NonZeroU32::MIN);
        let worker = queue.run_service(options, service).await.unwrap();
        eventually("all are settled", || async {
            queue.depth().await.unwrap() == 0 && common::processing(&t.redis, "q").await == 0
        }).await;
        let report = worker.stop().await;
        assert_eq!((report.done, report.failed), (20, 20));
        let letters = queue.dead_letters(None, 100).await.unwrap();
        let count = |why: &str| letters.iter().filter(|letter| letter.why == why).count();
        assert_eq!((count("told to"), count("no such address")), (10, 10));
    }
}
