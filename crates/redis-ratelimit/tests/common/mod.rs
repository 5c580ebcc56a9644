//! What the tests share: a limiter, the key behind it, and its state.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

use redis_patterns_core::{Args, Key, Redis, Tag};
use redis_ratelimit::{FixedWindow, RateLimiter};
use std::num::NonZeroU64;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn many(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

/// `limit` an hour, under the name `test`.
pub(crate) fn hourly(redis: &Redis, limit: u64) -> RateLimiter {
    RateLimiter::new(redis.clone(), FixedWindow::new("test", many(limit), HOUR).unwrap())
}

/// The key of `subject` under the limit `test`.
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
