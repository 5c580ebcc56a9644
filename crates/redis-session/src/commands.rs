//! One typed function per command; nothing else knows their wire shapes. Each is one plain command,
//! atomic by itself, so none of them needs a script.

use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis};
use std::time::Duration;

/// Whether the key was free and now holds the value.
pub(crate) async fn put_new(redis: &Redis, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, Error> {
    set(redis, key, value, ttl, "NX").await
}

/// Whether the key was there and now holds the value: it never comes into being by this.
pub(crate) async fn replace(redis: &Redis, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, Error> {
    set(redis, key, value, ttl, "XX").await
}

async fn set(
    redis: &Redis,
    key: &Key,
    value: Bytes,
    ttl: Duration,
    condition: &'static str,
) -> Result<bool, Error> {
    let args = Args::new().shared(value).word(condition).word("PX").millis(ttl);
    let done: Option<Bytes> = redis.command("SET", &[key], &args).await?;
    Ok(done.is_some())
}

/// The value, whose time now starts anew.
pub(crate) async fn read_and_renew(redis: &Redis, key: &Key, ttl: Duration) -> Result<Option<Bytes>, Error> {
    redis.command("GETEX", &[key], &Args::new().word("PX").millis(ttl)).await
}

/// The value, which is then gone: one caller gets it.
pub(crate) async fn take(redis: &Redis, key: &Key) -> Result<Option<Bytes>, Error> {
    redis.command("GETDEL", &[key], &Args::new()).await
}

/// Whether there was something to delete.
pub(crate) async fn delete(redis: &Redis, key: &Key) -> Result<bool, Error> {
    redis.command("DEL", &[key], &Args::new()).await
}
