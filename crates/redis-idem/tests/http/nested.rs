//! A router inside another, which hides the front of the path from it.

use crate::service::{Service, runs};
use axum::Router;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

on_every_topology! {
    async fn the_path_in_front_of_a_nested_router_is_part_of_the_request(t: TestRedis) {
        let mut service = Service::of(&t);
        let inner = service.app;
        service.app = Router::new().nest("/accounts/1", inner.clone()).nest("/accounts/2", inner);
        runs(&service.post("/accounts/1/pay", "k", "10").await, 1);
        let other = service.post("/accounts/2/pay", "k", "10").await;
        assert!(other.is_problem(422, "reused"), "{} {}", other.status, other.body);
        assert!(service.post("/accounts/1/pay", "k", "10").await.is_replay());
        assert_eq!(service.runs(), 1);
    }
}
