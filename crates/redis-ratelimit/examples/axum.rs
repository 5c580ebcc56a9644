//! Two limits before one service: ten requests a minute from each address, and three failed log-ins.
//!
//! ```text
//! cargo run -p redis-ratelimit --example axum --features tower
//! ```
//!
//! prints the lines to try. It uses the Redis at `REDIS_URL`, or at `redis://127.0.0.1:6379`.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::routing::{get, post};
use redis_ratelimit::http::{By, RateLimitLayer};
use redis_ratelimit::{FixedWindow, Gate, RateLimiter, Redis, SlidingWindow, WhenDown};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let redis = match Redis::connect(&url).await {
        Ok(redis) => redis,
        Err(error) => {
            eprintln!("{error}");
            eprintln!("This example needs a Redis. Start one with `docker run --rm -p 6379:6379 redis:8`,");
            eprintln!("or set REDIS_URL to where yours is.");
            return ExitCode::FAILURE;
        }
    };
    match serve(redis).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(redis: Redis) -> Result<(), Box<dyn std::error::Error>> {
    // No proxy stands before this service: the peer is the client.
    let by_address =
        By::client_ip(0, |request| request.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.ip()));
    let (ten, three) = (NonZeroU64::new(10).ok_or("0")?, NonZeroU64::new(3).ok_or("0")?);

    // A limit that spares resources lets requests pass while Redis is away.
    let requests = RateLimiter::new(redis.clone(), SlidingWindow::new("requests", ten, MINUTE)?);
    let requests = RateLimitLayer::new(Gate::new(requests, WhenDown::FailOpen), by_address.clone());
    // One that protects accounts does not.
    let failures = RateLimiter::new(redis, FixedWindow::new("failed-log-ins", three, MINUTE)?);
    let failures = RateLimitLayer::new(Gate::new(failures, WhenDown::FailClosed), by_address)
        .count_only(|status| status == StatusCode::UNAUTHORIZED);

    let app = Router::new()
        .route("/login", post(log_in).layer(failures))
        .route("/hello", get(|| async { "hello\n" }))
        .layer(requests);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?;
    println!("# the first ten are answered, then 429");
    println!("for i in $(seq 12); do curl -si http://{here}/hello | grep -iE 'HTTP|ratelimit|retry'; done");
    println!("# a minute later: what is right is never counted; what is wrong is 401 three times, then 429");
    println!("curl -i http://{here}/login -d open-sesame");
    println!("curl -i http://{here}/login -d guess");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn log_in(password: String) -> (StatusCode, &'static str) {
    match password.as_str() {
        "open-sesame" => (StatusCode::OK, "welcome\n"),
        _ => (StatusCode::UNAUTHORIZED, "no\n"),
    }
}
