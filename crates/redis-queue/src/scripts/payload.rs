//! Payloads that are kept beside the queue.

use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis};
use std::time::Duration;

/// `SET payload .. PX keep`.
pub(crate) async fn put_payload(
    redis: &Redis,
    key: &Key,
    payload: Bytes,
    keep: Duration,
) -> Result<(), Error> {
    redis.command("SET", &[key], &Args::new().shared(payload).word("PX").millis(keep)).await
}

/// `GETEX payload PX keep`: the payload, kept for so long again.
pub(crate) async fn get_payload(redis: &Redis, key: &Key, keep: Duration) -> Result<Option<Bytes>, Error> {
    redis.command("GETEX", &[key], &Args::new().word("PX").millis(keep)).await
}

/// `UNLINK payload`.
pub(crate) async fn delete_payload(redis: &Redis, key: &Key) -> Result<(), Error> {
    redis.command("UNLINK", &[key], &Args::new()).await
}
