//! Taking, extending, giving back.

use super::{permits, raised, unknown};
use crate::claim::{Ask, Claim, Share};
use crate::error::Error;
use crate::fence::FencingToken;
use crate::keys::LockKeys;
use crate::waiting::{ALIVE, GRANT};
use redis_patterns_core::{Args, Dedicated, Error as RedisError, Key, Redis, Script, script};
use std::time::Duration;

static ACQUIRE: Script = script!("lock/acquire", "acquire.lua");
static EXTEND: Script = script!("lock/extend", "extend.lua");
static RAISE: Script = script!("lock/raise", "raise.lua");
static RELEASE: Script = script!("lock/release", "release.lua");
static SETTLE: Script = script!("lock/settle", "settle.lua");
static WAIT: Script = script!("lock/wait", "wait.lua");

/// What the server did with a request for the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Acquired {
    Yes(FencingToken),
    Busy { lease_left: Duration },
}

impl Acquired {
    pub(super) fn of(script: &Script, (code, fence, left_ms): (i64, u64, u64)) -> Result<Self, Error> {
        match (code, FencingToken::new(fence)) {
            (0, _) => Ok(Self::Busy { lease_left: Duration::from_millis(left_ms) }),
            (1 | 2, Some(fence)) => Ok(Self::Yes(fence)),
            (3, _) => Err(Error::FenceExhausted),
            _ => Err(unknown(script).into()),
        }
    }
}

/// Takes the lock, or a place in the queue if that is asked for; repeated, it keeps that place.
pub(crate) async fn acquire(redis: &Redis, claim: &Claim, ask: Ask) -> Result<Acquired, Error> {
    let Claim { keys, token, lease, memory, share, .. } = claim;
    if let Share::Permits { weight, limit, fences } = *share {
        return permits::enter(redis, claim, (weight, limit, fences), ask).await;
    }
    let args = Args::new().int(redis.clock().micros_arg()).bytes(token).millis(*lease).millis(*memory);
    match ask {
        Ask::Try => Acquired::of(&ACQUIRE, redis.run(&ACQUIRE, &[&keys.lock, &keys.fence], &args).await?),
        Ask::Queue => {
            let args = args.millis(GRANT).millis(ALIVE);
            Acquired::of(&WAIT, redis.run(&WAIT, &with_queue(keys), &args).await?)
        }
    }
}

fn with_queue(keys: &LockKeys) -> [&Key; 5] {
    [&keys.lock, &keys.fence, &keys.queue, &keys.alive, &keys.channel]
}

/// Whether the lease was extended; if not, this holder has lost the lock.
pub(crate) async fn extend(redis: &Redis, claim: &Claim) -> Result<bool, RedisError> {
    match claim.share {
        Share::Whole => one(extend_all(redis, &[claim]).await?),
        Share::Permits { .. } => permits::prolong(redis, claim).await,
    }
}

/// Extends several mutexes of one lease; answers for each whether it was.
pub(crate) async fn extend_all(redis: &Redis, claims: &[&Claim]) -> Result<Vec<bool>, RedisError> {
    let Some(first) = claims.first() else { return Ok(Vec::new()) };
    let keys: Vec<_> = claims.iter().map(|claim| &claim.keys.lock).collect();
    let args = claims.iter().fold(Args::new().millis(first.lease), |args, claim| args.bytes(&claim.token));
    extended(redis.run_batch(&EXTEND, &keys, &args).await?, claims.len())
}

/// As [`extend`], on a connection that then waits for replicas. It always writes.
pub(crate) async fn confirm(line: &Dedicated, redis: &Redis, claim: &Claim) -> Result<bool, RedisError> {
    match claim.share {
        Share::Whole => {
            let args = Args::new().millis(claim.lease).bytes(&claim.token);
            one(extended(line.run(&EXTEND, &[&claim.keys.lock], &args).await?, 1)?)
        }
        Share::Permits { .. } => permits::confirm(line, redis, claim).await,
    }
}

fn extended(codes: Vec<i64>, asked: usize) -> Result<Vec<bool>, RedisError> {
    if codes.len() != asked || codes.iter().any(|code| !(1..=2).contains(code)) {
        return Err(unknown(&EXTEND));
    }
    Ok(codes.iter().map(|code| *code == 1).collect())
}

fn one(extended: Vec<bool>) -> Result<bool, RedisError> {
    extended.first().copied().ok_or_else(|| unknown(&EXTEND))
}

/// The fence above `seen`, or `None` if this holder has lost the lock.
pub(crate) async fn raise(
    redis: &Redis,
    claim: &Claim,
    seen: FencingToken,
) -> Result<Option<FencingToken>, Error> {
    let script = if let Share::Whole = claim.share { &RAISE } else { &permits::RAISE };
    let args =
        Args::new().int(redis.clock().micros_arg()).bytes(&claim.token).int(seen.into()).millis(claim.memory);
    raised(script, redis.run(script, &[&claim.keys.lock, &claim.keys.fence], &args).await?)
}

/// Whether the fence that a quorum chose is this server's now; if not, this holder has lost it here.
pub(crate) async fn settle(redis: &Redis, claim: &Claim, fence: FencingToken) -> Result<bool, RedisError> {
    let args = Args::new().bytes(&claim.token).int(fence.into()).millis(claim.memory);
    match redis.run::<i64>(&SETTLE, &[&claim.keys.lock, &claim.keys.fence], &args).await? {
        1 => Ok(true),
        2 => Ok(false),
        _ => Err(unknown(&SETTLE)),
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
    let Claim { keys, token, memory, share, .. } = claim;
    if let Share::Permits { weight, limit, .. } = *share {
        return permits::leave(redis, claim, weight, limit).await;
    }
    let args = Args::new().int(redis.clock().micros_arg()).bytes(token).millis(*memory).millis(GRANT);
    match redis.run::<i64>(&RELEASE, &with_queue(keys), &args).await? {
        1 => Ok(Freed::Yes),
        2 => Ok(Freed::FreeAlready),
        3 => Ok(Freed::HeldByAnother),
        _ => Err(unknown(&RELEASE)),
    }
}
