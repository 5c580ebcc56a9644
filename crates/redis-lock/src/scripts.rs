//! One typed function per script; nothing else knows their wire shapes.

use crate::downstream::Verdict;
use crate::error::Error;
use crate::fence::FencingToken;
use crate::inspection::{Forced, Holder, Inspection};
use crate::janitor::Claim;
use crate::keys::LockKeys;
use crate::waiting::{ALIVE, GRANT};
use bytes::Bytes;
use redis_patterns_core::{Args, Error as RedisError, Key, Redis, Script, script};
use std::time::Duration;

static ACQUIRE: Script = script!("lock/acquire", "scripts/acquire.lua");
static EXTEND: Script = script!("lock/extend", "scripts/extend.lua");
static FORCE_RELEASE: Script = script!("lock/force_release", "scripts/force_release.lua");
static INSPECT: Script = script!("lock/inspect", "scripts/inspect.lua");
static RAISE: Script = script!("lock/raise", "scripts/raise.lua");
static RELEASE: Script = script!("lock/release", "scripts/release.lua");
static SEAL_REGISTER: Script = script!("lock/seal_register", "scripts/seal_register.lua");
static WAIT: Script = script!("lock/wait", "scripts/wait.lua");
static WRITE_REGISTER: Script = script!("lock/write_register", "scripts/write_register.lua");

/// What the server did with a request for the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Acquired {
    Yes(FencingToken),
    Busy { lease_left: Duration },
}

pub(crate) async fn acquire(redis: &Redis, claim: &Claim) -> Result<Acquired, Error> {
    let Claim { keys, token, lease, memory, .. } = claim;
    let args = Args::new().int(redis.clock().micros_arg()).bytes(token).millis(*lease).millis(*memory);
    acquired(&ACQUIRE, redis.run(&ACQUIRE, &[&keys.lock, &keys.fence], &args).await?)
}

/// As [`acquire`], with a place in the queue if the lock is held; repeated, it keeps that place.
pub(crate) async fn wait(redis: &Redis, claim: &Claim) -> Result<Acquired, Error> {
    let Claim { keys, token, lease, memory, .. } = claim;
    let args = Args::new()
        .int(redis.clock().micros_arg())
        .bytes(token)
        .millis(*lease)
        .millis(*memory)
        .millis(GRANT)
        .millis(ALIVE);
    acquired(&WAIT, redis.run(&WAIT, &keys.all(), &args).await?)
}

fn acquired(script: &Script, (code, fence, left_ms): (i64, u64, u64)) -> Result<Acquired, Error> {
    match (code, FencingToken::new(fence)) {
        (0, _) => Ok(Acquired::Busy { lease_left: Duration::from_millis(left_ms) }),
        (1 | 2, Some(fence)) => Ok(Acquired::Yes(fence)),
        (3, _) => Err(Error::FenceExhausted),
        _ => Err(RedisError::reply(script.name(), "the answer has an unknown code").into()),
    }
}

/// Whether the lease was extended; if not, this holder has lost the lock.
pub(crate) async fn extend(redis: &Redis, claim: &Claim) -> Result<bool, RedisError> {
    let args = Args::new().bytes(&claim.token).millis(claim.lease);
    match redis.run::<i64>(&EXTEND, &[&claim.keys.lock], &args).await? {
        1 => Ok(true),
        2 => Ok(false),
        _ => Err(RedisError::reply(EXTEND.name(), "the answer has an unknown code")),
    }
}

/// The fence above `seen`, or `None` if this holder has lost the lock.
pub(crate) async fn raise(
    redis: &Redis,
    claim: &Claim,
    seen: FencingToken,
) -> Result<Option<FencingToken>, Error> {
    let args =
        Args::new().int(redis.clock().micros_arg()).bytes(&claim.token).int(seen.into()).millis(claim.memory);
    let keys = [&claim.keys.lock, &claim.keys.fence];
    let (code, fence): (i64, u64) = redis.run(&RAISE, &keys, &args).await?;
    match (code, FencingToken::new(fence)) {
        (1, Some(fence)) => Ok(Some(fence)),
        (2, _) => Ok(None),
        (3, _) => Err(Error::FenceExhausted),
        _ => Err(RedisError::reply(RAISE.name(), "the answer has an unknown code").into()),
    }
}

/// What the server found when the lock was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    Yes,
    FreeAlready,
    HeldByAnother,
}

pub(crate) async fn release(redis: &Redis, claim: &Claim) -> Result<Freed, RedisError> {
    let Claim { keys, token, memory, .. } = claim;
    let args = Args::new().int(redis.clock().micros_arg()).bytes(token).millis(*memory).millis(GRANT);
    match redis.run::<i64>(&RELEASE, &keys.all(), &args).await? {
        1 => Ok(Freed::Yes),
        2 => Ok(Freed::FreeAlready),
        3 => Ok(Freed::HeldByAnother),
        _ => Err(RedisError::reply(RELEASE.name(), "the answer has an unknown code")),
    }
}

pub(crate) async fn inspect(redis: &Redis, keys: &LockKeys) -> Result<Inspection, Error> {
    let (code, fence, left_ms, waiting): (i64, u64, u64, u64) =
        redis.run(&INSPECT, &[&keys.lock, &keys.queue], &Args::new()).await?;
    let holder = match (code, FencingToken::new(fence)) {
        (0, _) => None,
        (1, Some(fence)) => Some(Holder { fence, lease_left: Duration::from_millis(left_ms) }),
        _ => {
            return Err(RedisError::reply(INSPECT.name(), "the lock's value is no token with a fence").into());
        }
    };
    Ok(Inspection { holder, waiting })
}

pub(crate) async fn force_release(
    redis: &Redis,
    keys: &LockKeys,
    fence: FencingToken,
) -> Result<Forced, Error> {
    let args = Args::new().int(fence.into());
    match redis.run::<i64>(&FORCE_RELEASE, &[&keys.lock], &args).await? {
        1 => Ok(Forced::Freed),
        2 => Ok(Forced::FreeAlready),
        3 => Ok(Forced::HeldByNewer),
        _ => Err(RedisError::reply(FORCE_RELEASE.name(), "the answer has an unknown code").into()),
    }
}

pub(crate) async fn seal_register(
    redis: &Redis,
    register: &Key,
    fence: FencingToken,
    keep: Duration,
) -> Result<Verdict, Error> {
    let args = Args::new().int(fence.into()).millis(keep);
    verdict(&SEAL_REGISTER, redis.run(&SEAL_REGISTER, &[register], &args).await?)
}

pub(crate) async fn write_register(
    redis: &Redis,
    register: &Key,
    fence: FencingToken,
    value: &[u8],
    keep: Duration,
) -> Result<Verdict, Error> {
    let args = Args::new().int(fence.into()).bytes(value).millis(keep);
    verdict(&WRITE_REGISTER, redis.run(&WRITE_REGISTER, &[register], &args).await?)
}

pub(crate) async fn read_register(redis: &Redis, register: &Key) -> Result<Option<Vec<u8>>, Error> {
    let value: Option<Bytes> = redis.command("HGET", &[register], &Args::new().word("value")).await?;
    Ok(value.map(|bytes| bytes.to_vec()))
}

fn verdict(script: &Script, (code, highest): (i64, u64)) -> Result<Verdict, Error> {
    match (code, FencingToken::new(highest)) {
        (1, _) => Ok(Verdict::Admitted),
        (2, Some(highest)) => Ok(Verdict::Stale { highest }),
        _ => Err(RedisError::reply(script.name(), "the answer has an unknown code").into()),
    }
}
