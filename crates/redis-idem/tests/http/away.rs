//! Redis is there, and the database beside it is not.

use crate::common::Fragile;
use crate::service::{Answer, Service, layer, post, runs, until};
use redis_idem::http::WhenDown;
use redis_idem::{Idempotency, Options};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tower::ServiceExt as _;

/// The service that would rather run unclaimed than not at all.
fn careless(t: &TestRedis, options: Options) -> Service {
    let requests = Idempotency::with_options(t.redis.clone(), options).unwrap();
    Service::new(layer(&requests).when_down(WhenDown::RunUnclaimed))
}

on_every_topology! {
    /// Redis forgot the request, and the database that has its row cannot be asked.
    async fn without_the_store_nothing_runs_unclaimed(t: TestRedis) {
        let store = Arc::new(Fragile::default());
        let service = careless(&t, Options::new().durable(store.clone()));
        runs(&service.post("/x", "k", "10").await, 1);
        t.delete_keys().await;
        store.away.store(true, Ordering::SeqCst);
        let refused = service.post("/x", "k", "10").await;
        assert!(refused.is_problem(503, "unavailable"), "{} {}", refused.status, refused.body);
        assert_eq!(service.runs(), 1);
    }

    /// What was done is answered and kept, but not replayed before the trail is back.
    async fn a_trail_that_breaks_under_the_work_does_not_keep_the_answer_back(t: TestRedis) {
        let trail = Arc::new(Fragile::default());
        let service = careless(&t, Options::new().audit(trail.clone()));
        let running = tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        until(|| service.runs() == 1).await;
        trail.away.store(true, Ordering::SeqCst);
        service.gate.add_permits(2);
        runs(&Answer::of(running.await.unwrap().unwrap()).await, 1);
        assert!(service.post("/slow", "k", "10").await.is_problem(503, "unavailable"));
        trail.away.store(false, Ordering::SeqCst);
        let again = service.post("/slow", "k", "10").await;
        assert!(again.is_replay());
        runs(&again, 1);
        assert_eq!(service.runs(), 1);
    }
}
