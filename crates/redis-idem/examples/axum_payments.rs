//! Payments that are taken once, however often the client sends them.
//!
//! ```text
//! cargo run -p redis-idem --example axum_payments --features tower,sqlx -- redis://127.0.0.1:6379 sqlite::memory:
//! ```
//!
//! prints the lines to try. Each payment and its response are one transaction of the database, so a retry is answered
//! by it when Redis has forgotten the first try. Behind a real log-in the scope is the user who logged in.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{Response, StatusCode, header};
use axum::routing::post;
use redis_idem::http::{IdempotencyLayer, outcome_of, response_of};
use redis_idem::sql::{Recorded, SqlRecords};
use redis_idem::{Attempt, Idempotency, Options, Redis, Resolution, Resolved, Scope, Takeover};
use sqlx::sqlite::{Sqlite, SqlitePool, SqlitePoolOptions};
use std::sync::Arc;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

#[derive(Clone)]
struct Shop {
    pool: SqlitePool,
    records: SqlRecords<Sqlite>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let word = |number, default: &str| std::env::args().nth(number).unwrap_or_else(|| default.to_owned());
    let redis = Redis::connect(&word(1, "redis://127.0.0.1:6379")).await?;
    let pool = SqlitePoolOptions::new().max_connections(1).connect(&word(2, "sqlite::memory:")).await?;
    let records = SqlRecords::new(pool.clone());
    records.create_table().await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS payments (id TEXT, amount TEXT)").execute(&pool).await?;

    let options = Options::new().durable(Arc::new(records.clone())).takeover(Takeover::InDoubt);
    let requests = Idempotency::with_options(redis, options)?;
    let layer =
        IdempotencyLayer::new(requests, |_| customer()).problems_at("https://example.com/idempotency")?;
    let payments = Router::new().route("/payments", post(pay)).layer(layer.clone());
    // For the operator, behind another log-in.
    let doubts = Router::new().route("/doubts/{key}", post(settle)).with_state(layer);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    print_what_to_try(&format!("http://{}", listener.local_addr()?));
    axum::serve(listener, payments.with_state(Shop { pool, records }).merge(doubts)).await?;
    Ok(())
}

fn customer() -> Scope {
    Scope::tenant("the only customer")
}

fn print_what_to_try(here: &str) {
    let pay = format!("curl -i {here}/payments -H 'Idempotency-Key: \"8e03978e\"'");
    println!("# takes two seconds; run it twice, at the same time and one after the other");
    println!("{pay} -d 10");
    println!("# the same again, after Redis has forgotten everything: the database answers");
    println!("redis-cli FLUSHALL; {pay} -d 10");
    println!("# another body under the same key: 422");
    println!("{pay} -d 20");
    println!("# no key: 400");
    println!("curl -i {here}/payments -d 10");
    println!("# the gateway does not answer: 504, and a retry is 409, in doubt");
    println!("curl -i {here}/payments -H 'Idempotency-Key: lost' -d 'no answer'");
    println!("# somebody has asked the gateway: it was paid. A retry is answered so");
    println!("curl -i {here}/doubts/lost -d paid");
}

/// Takes a payment, and records its response in the transaction that it is taken in.
async fn pay(
    State(shop): State<Shop>,
    attempt: Extension<Attempt>,
    amount: Bytes,
) -> Result<Response<Body>, StatusCode> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    if &amount[..] == b"no answer" {
        // The layer leaves a request whose answer is 5xx to `Takeover`.
        return Err(StatusCode::GATEWAY_TIMEOUT);
    }
    let paid = take(&shop, &attempt, &String::from_utf8_lossy(&amount)).await;
    paid.map(|response| response.map(Body::from)).map_err(|failure| {
        eprintln!("{failure}");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}

async fn take(shop: &Shop, attempt: &Attempt, amount: &str) -> Result<Response<Bytes>, Failure> {
    // The same for every attempt at this request, and for no other request.
    let id = &attempt.request[..16];
    let response = created(id, format!("payment {id} of {amount}\n"))?;
    let mut transaction = shop.pool.begin().await?;
    match shop.records.record(&mut transaction, attempt, &outcome_of(&response)).await? {
        Recorded::New => {
            let payment =
                sqlx::query("INSERT INTO payments (id, amount) VALUES ($1, $2)").bind(id).bind(amount);
            payment.execute(&mut *transaction).await?;
            transaction.commit().await?;
            println!("payment {id}: attempt {}", attempt.number);
            Ok(response)
        }
        Recorded::Before(kept) => {
            transaction.rollback().await?;
            Ok(response_of(kept.outcome)?)
        }
    }
}

fn created(id: &str, body: String) -> Result<Response<Bytes>, axum::http::Error> {
    let response =
        Response::builder().status(StatusCode::CREATED).header(header::LOCATION, format!("/payments/{id}"));
    response.header(header::CONTENT_TYPE, "text/plain").body(body.into())
}

/// Settles a request in doubt with the response that its client should have had.
async fn settle(
    State(layer): State<IdempotencyLayer>,
    Path(key): Path<String>,
    found: String,
) -> Result<&'static str, StatusCode> {
    let resolution = match found.as_str() {
        "paid" => {
            Resolution::Done(created(&key, "paid, as the gateway says\n".to_owned()).map_err(internal)?)
        }
        _ => Resolution::Rerun,
    };
    match layer.resolve(&customer(), key, resolution).await.map_err(internal)? {
        Resolved::Settled => Ok("settled\n"),
        Resolved::NotInDoubt => Err(StatusCode::CONFLICT),
    }
}

fn internal(failure: impl std::error::Error) -> StatusCode {
    eprintln!("{failure}");
    StatusCode::INTERNAL_SERVER_ERROR
}
