//! One typed function per script, and the one plain command; nothing else knows their wire shapes.

use crate::record::{Record, State};
use bytes::Bytes;
use redis_patterns_core::{Args, Error, FromReply, Key, Redis, Script, Value, script};
use std::time::Duration;

static COMPLETE: Script = script!("idem/complete", "scripts/complete.lua");
static HEARTBEAT: Script = script!("idem/heartbeat", "scripts/heartbeat.lua");
static RELEASE: Script = script!("idem/release", "scripts/release.lua");
static RESOLVE: Script = script!("idem/resolve", "scripts/resolve.lua");
static TAKEOVER: Script = script!("idem/takeover", "scripts/takeover.lua");

/// Claims the key in one plain command: `None` if it was free, else the record that is there.
/// A second send meets the caller's own claim.
pub(crate) async fn claim(redis: &Redis, key: &Key, claim: &Record) -> Result<Option<Record>, Error> {
    let args = Args::new().shared(claim.pack()).word("NX").word("GET").word("PX");
    let args = args.int(claim.retention_ms.cast_signed());
    let there: Option<Bytes> = redis.command("SET", &[key], &args).await?;
    there.map(Record::unpack).transpose()
}

/// What became of an attempt to take a claim over.
#[derive(Debug)]
pub(crate) enum Succession {
    /// The successor stands there.
    Taken,
    /// The claim is alive for this long.
    Alive(Duration),
    /// Another record stands there now.
    Changed(Record),
    /// There is no record any more.
    Gone,
}

pub(crate) async fn takeover(
    redis: &Redis,
    key: &Key,
    seen: &Record,
    successor: &Record,
) -> Result<Succession, Error> {
    let args = Args::new().bytes(seen.mark()).int(seen.lease_over_ms()).shared(successor.pack());
    let args = args.int(successor.retention_ms.cast_signed());
    let (code, detail): (u32, Value) = redis.run(&TAKEOVER, &[key], &args).await?;
    match (code, u64::from_reply(detail.clone()), Bytes::from_reply(detail)) {
        (1, _, _) => Ok(Succession::Taken),
        (2, Some(left_ms), _) => Ok(Succession::Alive(Duration::from_millis(left_ms))),
        (3, _, Some(record)) => Ok(Succession::Changed(Record::unpack(record)?)),
        (4, _, _) => Ok(Succession::Gone),
        _ => Err(unknown(&TAKEOVER)),
    }
}

/// Whether the claim was the caller's, and how it ended now stands there.
pub(crate) async fn complete(redis: &Redis, key: &Key, ended: &Record) -> Result<bool, Error> {
    let args = Args::new().shared(ended.pack()).int(ended.retention_ms.cast_signed());
    match redis.run::<u32>(&COMPLETE, &[key], &args).await? {
        1 | 2 => Ok(true),
        0 => Ok(false),
        _ => Err(unknown(&COMPLETE)),
    }
}

/// Whether the claim is still the caller's; its lease starts anew.
pub(crate) async fn heartbeat(redis: &Redis, key: &Key, claim: &Record) -> Result<bool, Error> {
    let args = Args::new().bytes(claim.mark()).int(claim.retention_ms.cast_signed());
    redis.run(&HEARTBEAT, &[key], &args).await
}

/// The record that is there, if any.
pub(crate) async fn read(redis: &Redis, key: &Key) -> Result<Option<Record>, Error> {
    let there: Option<Bytes> = redis.command("GET", &[key], &Args::new()).await?;
    there.map(Record::unpack).transpose()
}

/// Whether the record that was seen in doubt has been replaced. One to be run again lies there with
/// its lease over.
pub(crate) async fn resolve(
    redis: &Redis,
    key: &Key,
    seen: &Record,
    settled: &Record,
) -> Result<bool, Error> {
    let ttl_ms = match settled.state {
        State::Pending => settled.lease_over_ms(),
        State::InDoubt | State::Done => settled.retention_ms.cast_signed(),
    };
    let args = Args::new().bytes(seen.mark()).shared(settled.pack()).int(ttl_ms.max(1));
    redis.run(&RESOLVE, &[key], &args).await
}

/// Whether nobody else holds the key: the caller's claim is given back, now or before. A first
/// attempt leaves nothing behind; after a later one the record of those before it stays.
pub(crate) async fn release(redis: &Redis, key: &Key, claim: &Record) -> Result<bool, Error> {
    if claim.attempt > 1 {
        return abandon(redis, key, claim).await;
    }
    give_back(redis, key, claim, Bytes::new()).await
}

/// The same, with the record of this attempt kept, its lease over.
pub(crate) async fn abandon(redis: &Redis, key: &Key, claim: &Record) -> Result<bool, Error> {
    give_back(redis, key, claim, claim.abandoned().pack()).await
}

async fn give_back(redis: &Redis, key: &Key, claim: &Record, left: Bytes) -> Result<bool, Error> {
    let args = Args::new().bytes(claim.mark()).shared(left).int(claim.lease_over_ms().max(1));
    match redis.run::<u32>(&RELEASE, &[key], &args).await? {
        1 | 2 => Ok(true),
        0 => Ok(false),
        _ => Err(unknown(&RELEASE)),
    }
}

fn unknown(script: &Script) -> Error {
    Error::reply(script.name(), "the script answered a code that its head does not name")
}
