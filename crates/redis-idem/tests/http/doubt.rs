//! Requests of which nobody knows what they did, until somebody does.

use crate::service::{Service, layer, runs};
use async_trait::async_trait;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderName, Response};
use redis_idem::http::{IdempotencyLayer, outcome_of};
use redis_idem::{Error, Idempotency, Judge, Options, Resolution, Resolved, Scope, Takeover, Verdict};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::sync::Arc;

fn layer_with(t: &TestRedis, takeover: Takeover) -> IdempotencyLayer {
    layer(&Idempotency::with_options(t.redis.clone(), Options::new().takeover(takeover)).unwrap())
}

/// What somebody found out that the client should have been answered.
fn found<T>(body: T) -> Response<T> {
    let response = Response::builder().status(201).header(LOCATION, "/thing/7");
    response.header(SET_COOKIE, "id=secret").header("x-run", "7").body(body).unwrap()
}

async fn is_answered_as_found(service: &Service, path: &str, key: &str) {
    let answer = service.post(path, key, "10").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str(), answer.is_replay()), (201, "found", true));
    assert_eq!(answer.header(LOCATION), Some("/thing/7"));
    assert_eq!((answer.header(SET_COOKIE), answer.header(HeaderName::from_static("x-run"))), (None, None));
}

on_every_topology! {
    async fn a_person_settles_it_by_the_key_that_the_client_sent(t: TestRedis) {
        let layer = layer_with(&t, Takeover::InDoubt);
        let service = Service::new(layer.clone());
        let acme = Scope::tenant("acme");
        for (number, sent, told) in [(1, "a", "\"a\""), (2, "\"b\"", "b"), (3, "\"c\\\"\"", "\"c\\\"\"")] {
            assert_eq!(service.post("/broken", sent, "10").await.status, 500);
            assert!(service.post("/broken", sent, "10").await.is_problem(409, "in-doubt"));
            let done = || Resolution::Done(found("found".into()));
            assert_eq!(layer.resolve(&Scope::tenant("other"), told, done()).await.unwrap(), Resolved::NotInDoubt);
            assert_eq!(layer.resolve(&acme, told, done()).await.unwrap(), Resolved::Settled);
            is_answered_as_found(&service, "/broken", sent).await;
            assert_eq!(layer.resolve(&acme, told, Resolution::Rerun).await.unwrap(), Resolved::NotInDoubt);
            assert_eq!(service.runs(), number);
        }
    }

    async fn a_person_lets_it_run_again(t: TestRedis) {
        let layer = layer_with(&t, Takeover::Rerun);
        let doubting = Service::new(layer_with(&t, Takeover::InDoubt));
        assert_eq!(doubting.post("/broken", "k", "10").await.status, 500);
        assert!(doubting.post("/broken", "k", "10").await.is_problem(409, "in-doubt"));
        let acme = Scope::tenant("acme");
        assert_eq!(layer.resolve(&acme, "k", Resolution::Rerun).await.unwrap(), Resolved::Settled);
        let service = Service::new(layer.clone());
        assert_eq!(service.post("/broken", "k", "10").await.status, 500);
        assert_eq!(service.attempts.lock().unwrap()[0].0, 2);
        for bad in ["", "a b", "\"", &"k".repeat(256)] {
            let refused = layer.resolve(&acme, bad, Resolution::Rerun).await;
            assert!(matches!(refused, Err(Error::Key(_))), "{bad:?}: {refused:?}");
        }
        runs(&service.post("/x", "other", "10").await, 2);
    }

    async fn a_judge_answers_with_a_response(t: TestRedis) {
        struct Bank;
        #[async_trait]
        impl Judge for Bank {
            async fn judge(&self, _: &str, _: u32) -> Verdict {
                Verdict::Done(outcome_of(&found("found")))
            }
        }
        let service = Service::new(layer_with(&t, Takeover::Ask(Arc::new(Bank))));
        assert_eq!(service.post("/broken", "k", "10").await.status, 500);
        for _ in 0..2 {
            is_answered_as_found(&service, "/broken", "k").await;
        }
        assert_eq!(service.runs(), 1);
    }
}
