//! What several of these test files need: short calls, and the record as its packing is documented.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses its part")]

use redis_idem::{Begin, Claim, Fingerprint, Idempotency, Scope};
use redis_patterns_core::{Args, Key, Redis, Tag};
use std::time::Duration;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);
pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const BODY: &str = r#"{"amount":10}"#;

/// `begin` for the key in the scope and operation that most tests share.
pub(crate) async fn begin(requests: &Idempotency, key: &str, body: &str) -> Begin {
    requests.begin(&Scope::tenant("acme"), "POST /pay", key, Fingerprint::of(body)).await.unwrap()
}

pub(crate) async fn start(requests: &Idempotency, key: &str) -> Claim {
    started(begin(requests, key, BODY).await)
}

pub(crate) fn started(begin: Begin) -> Claim {
    match begin {
        Begin::Started(claim) => claim,
        other => panic!("expected Started, got {other:?}"),
    }
}

pub(crate) fn replayed(begin: Begin) -> Vec<u8> {
    match begin {
        Begin::Replay(outcome) => outcome.to_vec(),
        other => panic!("expected Replay, got {other:?}"),
    }
}

/// The record's key, by the request's name.
pub(crate) fn key_of(redis: &Redis, request: &str) -> Key {
    redis.namespace().key("idem", &Tag::of(request))
}

/// Ends the lease of a claim made with the defaults: its age is its retention less its TTL.
pub(crate) async fn end_lease(redis: &Redis, request: &str) {
    let ttl_ms = i64::try_from((DAY - LEASE).as_millis()).unwrap();
    redis.command::<()>("PEXPIRE", &[&key_of(redis, request)], &Args::new().int(ttl_ms)).await.unwrap();
}

/// The record and when it expires: all that Redis holds of a request.
pub(crate) async fn stored(redis: &Redis, request: &str) -> (Option<Vec<u8>>, i64) {
    let key = key_of(redis, request);
    let bytes: Option<bytes::Bytes> = redis.command("GET", &[&key], &Args::new()).await.unwrap();
    let expires = redis.command("PEXPIRETIME", &[&key], &Args::new()).await.unwrap();
    (bytes.map(|bytes| bytes.to_vec()), expires)
}

/// A packed record as record.rs documents it, written here a second time on purpose.
pub(crate) fn packed(state: u8, owner: u8, attempt: u32, outcome: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xA7, 1, 0, state];
    bytes.extend([owner; 16]);
    bytes.extend([0xF0; 32]);
    bytes.extend(attempt.to_be_bytes());
    bytes.extend(u64::try_from(LEASE.as_millis()).unwrap().to_be_bytes());
    bytes.extend(u64::try_from(DAY.as_millis()).unwrap().to_be_bytes());
    bytes.extend(outcome);
    bytes
}

/// State and owner, as scripts compare them.
pub(crate) fn mark(state: u8, owner: u8) -> Vec<u8> {
    packed(state, owner, 1, b"")[3..20].to_vec()
}
