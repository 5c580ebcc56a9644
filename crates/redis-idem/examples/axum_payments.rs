//! Payments that are taken once, however often the client sends them.
//!
//! ```text
//! cargo run -p redis-idem --example axum_payments --features tower -- redis://127.0.0.1:6379
//! ```
//!
//! prints the lines to try. Behind a real log-in the scope is the user who logged in.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use redis_idem::http::IdempotencyLayer;
use redis_idem::{Attempt, Idempotency, Redis, Scope};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static TAKEN: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let requests = Idempotency::new(Redis::connect(&url).await?);
    let layer = IdempotencyLayer::new(requests, |_| Scope::tenant("the only customer"))
        .problems_at("https://example.com/idempotency")?;
    let app = Router::new().route("/payments", post(pay)).layer(layer);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let here = format!("http://{}/payments", listener.local_addr()?);
    let key = "-H 'Idempotency-Key: \"8e03978e\"'";
    println!("# takes two seconds; run it twice, at the same time and one after the other");
    println!("curl -i {here} {key} -d 10");
    println!("# another body under the same key: 422");
    println!("curl -i {here} {key} -d 20");
    println!("# no key: 400");
    println!("curl -i {here} -d 10");
    axum::serve(listener, app).await?;
    Ok(())
}

async fn pay(attempt: axum::Extension<Attempt>, amount: Bytes) -> (StatusCode, String) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let number = TAKEN.fetch_add(1, Ordering::SeqCst) + 1;
    println!("payment {number}: attempt {}, to be sent on as {}", attempt.number, attempt.request);
    (StatusCode::CREATED, format!("payment {number} of {}\n", String::from_utf8_lossy(&amount)))
}
