//! One typed function per script; nothing else knows their wire shapes.

use crate::error::Error;
use crate::fence::FencingToken;
use crate::janitor::Claim;
use crate::keys::LockKeys;
use crate::options::LockOptions;
use redis_patterns_core::{Args, Error as RedisError, Redis, Script, Token, script};
use std::time::Duration;

static ACQUIRE: Script = script!("lock/acquire", "scripts/acquire.lua");
static EXTEND: Script = script!("lock/extend", "scripts/extend.lua");
static RELEASE: Script = script!("lock/release", "scripts/release.lua");

/// What the server did with a request for the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Acquired {
    Yes(FencingToken),
    Busy { lease_left: Duration },
}

pub(crate) async fn acquire(
    redis: &Redis,
    keys: &LockKeys,
    token: &Token,
    options: &LockOptions,
) -> Result<Acquired, Error> {
    let args = Args::new()
        .int(redis.clock().micros_arg())
        .bytes(token)
        .millis(options.lease_time())
        .millis(options.memory_time());
    let (code, fence, left_ms): (i64, u64, u64) =
        redis.run(&ACQUIRE, &[&keys.lock, &keys.fence], &args).await?;
    match (code, FencingToken::new(fence)) {
        (0, _) => Ok(Acquired::Busy { lease_left: Duration::from_millis(left_ms) }),
        (1 | 2, Some(fence)) => Ok(Acquired::Yes(fence)),
        (3, _) => Err(Error::FenceExhausted),
        _ => Err(RedisError::reply(ACQUIRE.name(), "the answer has an unknown code").into()),
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

/// What the server found when the lock was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    Yes,
    FreeAlready,
    HeldByAnother,
}

pub(crate) async fn release(redis: &Redis, keys: &LockKeys, token: &Token) -> Result<Freed, RedisError> {
    match redis.run::<i64>(&RELEASE, &[&keys.lock], &Args::new().bytes(token)).await? {
        1 => Ok(Freed::Yes),
        2 => Ok(Freed::FreeAlready),
        3 => Ok(Freed::HeldByAnother),
        _ => Err(RedisError::reply(RELEASE.name(), "the answer has an unknown code")),
    }
}
