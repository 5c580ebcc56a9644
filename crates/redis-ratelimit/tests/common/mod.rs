//! What the tests share: limiters, the key behind them, its state, and a clock moved by hand.

#![allow(dead_code, reason = "each test file uses its part")]

use redis_patterns_core::{Args, Clock, Key, Redis, Tag, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_ratelimit::{
    ApproximateWindow, Calendar, FixedWindow, Policy, RateLimiter, SlidingLog, SlidingWindow, TokenBucket,
};
use std::num::NonZeroU64;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn many(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

/// The kinds, by the names that tests call them.
pub(crate) const KINDS: [&str; 6] =
    ["FixedWindow", "Calendar", "TokenBucket", "SlidingLog", "SlidingWindow", "ApproximateWindow"];

/// `limit` an hour (of the calendar: a day) by each kind of policy, all under the name `test`.
pub(crate) fn each_policy(limit: u64) -> [Policy; 6] {
    KINDS.map(|kind| named(kind, "test", limit))
}

pub(crate) fn named(kind: &str, name: &str, limit: u64) -> Policy {
    let limit = many(limit);
    match kind {
        "FixedWindow" => FixedWindow::new(name, limit, HOUR).unwrap().into(),
        "Calendar" => FixedWindow::calendar(name, limit, Calendar::Day).unwrap().into(),
        "TokenBucket" => TokenBucket::new(name, limit, HOUR).unwrap().into(),
        "SlidingLog" => SlidingLog::new(name, limit, HOUR).unwrap().into(),
        "SlidingWindow" => SlidingWindow::new(name, limit, HOUR).unwrap().into(),
        _ => ApproximateWindow::new(name, limit, HOUR).unwrap().into(),
    }
}

/// A limiter of each kind, and a subject of its own for each: they share a name.
pub(crate) fn each_limiter(redis: &Redis, limit: u64) -> [(RateLimiter, String); 6] {
    KINDS.map(|kind| (RateLimiter::new(redis.clone(), named(kind, "test", limit)), kind.to_owned()))
}

/// One limiter with a policy of each kind: what each of them promises, all of them together do.
pub(crate) fn all_kinds(redis: &Redis, limit: u64) -> RateLimiter {
    let [first, rest @ ..] = KINDS;
    let first = RateLimiter::new(redis.clone(), named(first, first, limit));
    rest.into_iter().fold(first, |limiter, kind| limiter.and(named(kind, kind, limit)).unwrap())
}

/// `limit` an hour in fixed windows, under the name `test`.
pub(crate) fn hourly(redis: &Redis, limit: u64) -> RateLimiter {
    RateLimiter::new(redis.clone(), FixedWindow::new("test", many(limit), HOUR).unwrap())
}

/// A second handle with the same keys whose scripts go by a clock that the test moves.
pub(crate) async fn clocked(t: &TestRedis) -> (Redis, TestClock) {
    clocked_at(t, 1_800_000_000_000_000).await
}

/// [`clocked`], from these microseconds after the epoch on.
pub(crate) async fn clocked_at(t: &TestRedis, micros: i64) -> (Redis, TestClock) {
    let clock = TestClock::at_micros(micros);
    let builder = Redis::builder(t.url()).namespace(t.redis.namespace().clone());
    let builder = builder.command_deadline(Duration::from_secs(5)).clock(Clock::Injected(clock.clone()));
    (Box::pin(builder.connect()).await.unwrap(), clock)
}

/// The key of the subject that [`each_limiter`] names after the kind.
pub(crate) fn key_of(redis: &Redis, kind: &str) -> Key {
    redis.namespace().part(pattern(kind), &Tag::of(kind), "test")
}

pub(crate) fn pattern(kind: &str) -> &'static str {
    match kind {
        "Calendar" => "rl-calendar",
        "TokenBucket" => "rl-bucket",
        "SlidingLog" => "rl-log",
        "SlidingWindow" => "rl-window",
        "ApproximateWindow" => "rl-approximate",
        _ => "rl",
    }
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
