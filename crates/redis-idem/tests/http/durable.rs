//! The response in the transaction of the work: what Redis forgot is replayed as it was.

use crate::common::end_lease;
use crate::service::{Answer, Service, layer, post, until};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Response};
use axum::routing::post as on_post;
use redis_idem::http::{IdempotencyLayer, outcome_of, response_of};
use redis_idem::sql::{Recorded, SqlRecords};
use redis_idem::{Attempt, Idempotency, Options};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use sqlx::sqlite::{Sqlite, SqlitePool, SqlitePoolOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// What the handler of a payment has at hand.
#[derive(Clone)]
struct Shop {
    pool: SqlitePool,
    records: SqlRecords<Sqlite>,
    came: Arc<AtomicU32>,
    gate: Arc<Semaphore>,
    last: Arc<std::sync::Mutex<String>>,
}

impl Shop {
    async fn open() -> Self {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let records = SqlRecords::new(pool.clone());
        records.create_table().await.unwrap();
        sqlx::query("CREATE TABLE payments (number BIGINT)").execute(&pool).await.unwrap();
        Self { pool, records, came: Arc::default(), gate: Arc::new(Semaphore::new(0)), last: Arc::default() }
    }

    fn service(&self, t: &TestRedis, set: impl Fn(IdempotencyLayer) -> IdempotencyLayer) -> Service {
        let options = Options::new().durable(Arc::new(self.records.clone()));
        let layer = set(layer(&Idempotency::with_options(t.redis.clone(), options).unwrap()));
        let app = Router::new().route("/{kind}", on_post(pay)).layer(layer.clone()).with_state(self.clone());
        Service { app, ..Service::new(layer) }
    }

    async fn payments(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(&self.pool).await.unwrap()
    }
}

async fn pay(State(shop): State<Shop>, kind: Path<String>, attempt: Extension<Attempt>) -> Response<Body> {
    let number = shop.came.fetch_add(1, Ordering::SeqCst) + 1;
    attempt.request.clone_into(&mut shop.last.lock().unwrap());
    if kind.as_str() == "slow" {
        shop.gate.acquire().await.unwrap().forget();
    }
    let response = Response::builder().status(201).header(LOCATION, format!("/payments/{number}"));
    let response =
        response.header(CONTENT_TYPE, "text/plain").header(SET_COOKIE, "id=secret").header("x-run", "1");
    let response = response.body(format!("payment {number}")).unwrap();
    let mut transaction = shop.pool.begin().await.unwrap();
    let outcome = outcome_of(&response);
    let recorded = shop.records.record(&mut transaction, &*attempt, &outcome).await.unwrap();
    if let Recorded::Before(kept) = recorded {
        transaction.rollback().await.unwrap();
        return response_of(kept.outcome).unwrap().map(Body::from);
    }
    sqlx::query("INSERT INTO payments VALUES ($1)").bind(number).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    assert_ne!(kind.as_str(), "dying", "the worker dies after its commit");
    response.map(Body::from)
}

/// All that a client sees.
fn seen(answer: &Answer) -> (u16, &HeaderMap, &str) {
    (answer.status.as_u16(), &answer.headers, &answer.body)
}

on_every_topology! {
    async fn what_redis_forgot_is_replayed_from_the_database_as_it_was(t: TestRedis) {
        let shop = Shop::open().await;
        let service = shop.service(&t, |layer| layer);
        let first = service.post("/pay", "k", "10").await;
        assert_eq!((first.status.as_u16(), first.body.as_str(), first.is_replay()), (201, "payment 1", false));
        let from_redis = service.post("/pay", "k", "10").await;
        assert_eq!((from_redis.status.as_u16(), from_redis.body.as_str()), (201, "payment 1"));
        assert_eq!(from_redis.header(LOCATION), Some("/payments/1"));
        assert!(from_redis.is_replay());
        t.delete_keys().await;
        let from_database = service.post("/pay", "k", "10").await;
        assert_eq!(seen(&from_database), seen(&from_redis));
        let told_again = service.post("/pay", "k", "10").await;
        assert_eq!(seen(&told_again), seen(&from_redis));
        t.delete_keys().await;
        assert!(service.post("/pay", "k", "20").await.is_problem(422, "reused"));
        assert_eq!((shop.came.load(Ordering::SeqCst), shop.payments().await), (1, 1));
    }

    async fn a_handler_that_died_after_its_commit_is_replayed(t: TestRedis) {
        let shop = Shop::open().await;
        let service = shop.service(&t, |layer| layer);
        let died = tokio::spawn(service.app.clone().oneshot(post("/dying", "k", "10")));
        assert!(died.await.unwrap_err().is_panic());
        let request = shop.last.lock().unwrap().clone();
        end_lease(&t.redis, &request).await;
        let again = service.post("/dying", "k", "10").await;
        assert_eq!((again.status.as_u16(), again.body.as_str(), again.is_replay()), (201, "payment 1", true));
        assert_eq!(shop.payments().await, 1);
    }

    async fn of_two_runs_at_once_both_answer_the_one_that_was_paid(t: TestRedis) {
        let shop = Shop::open().await;
        let service = shop.service(&t, |layer| layer);
        let send = || tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        let first = send();
        until(|| shop.came.load(Ordering::SeqCst) == 1).await;
        t.delete_keys().await;
        let second = send();
        until(|| shop.came.load(Ordering::SeqCst) == 2).await;
        shop.gate.add_permits(2);
        let answers = [
            Answer::of(first.await.unwrap().unwrap()).await,
            Answer::of(second.await.unwrap().unwrap()).await,
        ];
        assert_eq!(answers.iter().filter(|answer| answer.is_replay()).count(), 1);
        assert_eq!((answers[0].status.as_u16(), &answers[0].body), (201, &answers[1].body));
        assert_eq!(answers[0].header(LOCATION), answers[1].header(LOCATION));
        let again = service.post("/slow", "k", "10").await;
        assert_eq!((again.is_replay(), &again.body), (true, &answers[0].body));
        assert_eq!(shop.payments().await, 1);
    }

    async fn the_limits_of_the_layer_hold_for_what_the_database_keeps(t: TestRedis) {
        let shop = Shop::open().await;
        let service = shop.service(&t, |layer| layer.largest_response(4));
        assert_eq!(service.post("/pay", "k", "10").await.body, "payment 1");
        for forget in [false, true, false] {
            if forget {
                t.delete_keys().await;
            }
            let again = service.post("/pay", "k", "10").await;
            assert!(again.is_problem(409, "not-kept"), "{} {}", again.status, again.body);
        }
        assert_eq!(shop.payments().await, 1);
    }
}
