//! What several of these test files need: short calls, and the record as its packing is documented.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses its part")]

use async_trait::async_trait;
use redis_idem::{AuditEvent, AuditTrail, Author, DurableStore, Kept};
use redis_idem::{Begin, Claim, Fingerprint, Idempotency, Scope};
use redis_patterns_core::{Args, Key, Redis, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);
pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const BODY: &str = r#"{"amount":10}"#;

static FORGET_WHEN: Script = Script::new(
    "test/forget_when",
    "#!lua\n-- KEYS[1] record\n-- ARGV[1] never\n\
     if redis.call('STRLEN', KEYS[1]) > 74 then redis.call('SETRANGE', KEYS[1], 68, ARGV[1]) end",
);

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

/// Ends the lease of a claim made with the defaults: its age is its retention less its TTL, and it does
/// not say that it was made just now.
pub(crate) async fn end_lease(redis: &Redis, request: &str) {
    let ttl_ms = i64::try_from((DAY - LEASE).as_millis()).unwrap();
    forget_when(redis, request).await;
    redis.command::<()>("PEXPIRE", &[&key_of(redis, request)], &Args::new().int(ttl_ms)).await.unwrap();
}

/// The record no longer says when it was claimed, so whoever asks has to ask the server.
pub(crate) async fn forget_when(redis: &Redis, request: &str) {
    redis.run::<()>(&FORGET_WHEN, &[&key_of(redis, request)], &Args::new().bytes([0; 6])).await.unwrap();
}

/// Waits until so many subscriptions to the request are there.
pub(crate) async fn until_listening(t: &TestRedis, request: &str, count: i64) {
    let channel = key_of(&t.redis, request).as_str().to_owned();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut heard = 0;
        for mut node in t.admin_nodes() {
            let answer = node.cmd(&["PUBSUB", "SHARDNUMSUB", &channel]).map(|reply| reply.items()[1].int());
            heard += answer.ok().flatten().unwrap_or(0);
        }
        if heard >= count {
            return;
        }
        assert!(Instant::now() < deadline, "{heard} of {count} listen");
        tokio::task::yield_now().await;
    }
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
    let mut bytes = vec![0xA7, 2, 0, state];
    bytes.extend([owner; 16]);
    bytes.extend([0xF0; 32]);
    bytes.extend(attempt.to_be_bytes());
    for span in [LEASE, DAY] {
        bytes.extend(&u64::try_from(span.as_millis()).unwrap().to_be_bytes()[2..]);
    }
    bytes.extend([0; 7]);
    bytes.extend(outcome);
    bytes
}

/// State and owner, as scripts compare them.
pub(crate) fn mark(state: u8, owner: u8) -> Vec<u8> {
    packed(state, owner, 1, b"")[3..20].to_vec()
}

/// A database that can be away: a trail that keeps nothing, and a store that knows of nothing.
#[derive(Default)]
pub(crate) struct Fragile {
    pub(crate) away: AtomicBool,
}

impl Fragile {
    fn ask(&self) -> Result<(), Box<dyn StdError + Send + Sync>> {
        if self.away.load(Ordering::SeqCst) { Err("the database is away".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl AuditTrail for Fragile {
    async fn append(&self, _: AuditEvent, _: Author<'_>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.ask()
    }
}

#[async_trait]
impl DurableStore for Fragile {
    async fn lookup(&self, _: &str) -> Result<Option<Kept>, Box<dyn StdError + Send + Sync>> {
        self.ask().map(|()| None)
    }
}
