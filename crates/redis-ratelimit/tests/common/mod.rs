//! What the tests share: limiters, the key behind them, its state, and a clock moved by hand.

#![allow(dead_code, reason = "each test file uses its part")]

use redis_patterns_core::{Args, Clock, Key, Redis, Tag, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_ratelimit::{FixedWindow, Policy, RateLimiter, SlidingLog, SlidingWindow, TokenBucket};
use std::num::NonZeroU64;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn many(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

/// `limit` an hour by each kind of policy, all under the name `test`.
pub(crate) fn each_policy(limit: u64) -> [Policy; 4] {
    let limit = many(limit);
    [
        FixedWindow::new("test", limit, HOUR).unwrap().into(),
        TokenBucket::new("test", limit, HOUR).unwrap().into(),
        SlidingLog::new("test", limit, HOUR).unwrap().into(),
        SlidingWindow::new("test", limit, HOUR).unwrap().into(),
    ]
}

/// A limiter of each kind, and a subject of its own for each: they share a name.
pub(crate) fn each_limiter(redis: &Redis, limit: u64) -> [(RateLimiter, String); 4] {
    each_policy(limit).map(|policy| {
        let kind = format!("{policy:?}").split('(').next().unwrap_or_default().to_owned();
        (RateLimiter::new(redis.clone(), policy), kind)
    })
}

/// `limit` an hour in fixed windows, under the name `test`.
pub(crate) fn hourly(redis: &Redis, limit: u64) -> RateLimiter {
    RateLimiter::new(redis.clone(), FixedWindow::new("test", many(limit), HOUR).unwrap())
}

/// A second handle with the same keys whose scripts go by a clock that the test moves.
pub(crate) async fn clocked(t: &TestRedis) -> (Redis, TestClock) {
    let clock = TestClock::at_micros(1_800_000_000_000_000);
    let builder = Redis::builder(t.url()).namespace(t.redis.namespace().clone());
    let builder = builder.command_deadline(Duration::from_secs(5)).clock(Clock::Injected(clock.clone()));
    (Box::pin(builder.connect()).await.unwrap(), clock)
}

/// The key of the subject that [`each_limiter`] names after the kind.
pub(crate) fn key_of(redis: &Redis, kind: &str) -> Key {
    let pattern = match kind {
        "TokenBucket" => "rl-bucket",
        "SlidingLog" => "rl-log",
        "SlidingWindow" => "rl-window",
        _ => "rl",
    };
    redis.namespace().part(pattern, &Tag::of(kind), "test")
}

/// The key of `subject` in a sliding log called `test`.
pub(crate) fn log_key(redis: &Redis, subject: &str) -> Key {
    redis.namespace().part("rl-log", &Tag::of(subject), "test")
}

/// The key of `subject` in a fixed window called `test`.
pub(crate) fn key(redis: &Redis, subject: impl AsRef<[u8]>) -> Key {
    redis.namespace().part("rl", &Tag::of(subject), "test")
}

pub(crate) async fn plant(redis: &Redis, key: &Key, value: &str) {
    redis.command::<()>("SET", &[key], &Args::new().bytes(value)).await.unwrap();
}

pub(crate) async fn count(redis: &Redis, key: &Key) -> Option<u64> {
    redis.command("GET", &[key], &Args::new()).await.unwrap()
}

pub(crate) async fn expires_at_ms(redis: &Redis, key: &Key) -> i64 {
    redis.command("PEXPIRETIME", &[key], &Args::new()).await.unwrap()
}

/// Ends the life of a key as its expiry would, without waiting for it.
pub(crate) async fn expire(redis: &Redis, key: &Key) {
    redis.command::<()>("PEXPIREAT", &[key], &Args::new().int(1)).await.unwrap();
}

/// Everything a key is: its value and when it expires. Equal before and after means untouched.
pub(crate) async fn state(redis: &Redis, key: &Key) -> (Option<bytes::Bytes>, i64) {
    let dump = redis.command("DUMP", &[key], &Args::new()).await.unwrap();
    (dump, expires_at_ms(redis, key).await)
}
