//! A lock seen, and freed, by somebody who does not hold it.

use super::unknown;
use crate::claim::Claim;
use crate::error::Error;
use crate::fence::FencingToken;
use crate::inspection::{Forced, Holder, Inspection, Revocation};
use crate::keys::LockKeys;
use redis_patterns_core::{Args, Error as RedisError, Redis, Script, script};
use std::time::Duration;

static FORCE_RELEASE: Script = script!("lock/force_release", "force_release.lua");
static INSPECT: Script = script!("lock/inspect", "inspect.lua");

type Seen = (i64, u64, u64, u64, (u64, String), Vec<String>);

pub(crate) async fn inspect(redis: &Redis, keys: &LockKeys) -> Result<Inspection, Error> {
    let args = Args::new().int(redis.clock().micros_arg());
    let keys = [&keys.lock, &keys.queue, &keys.revoked];
    let (code, fence, left_ms, waiting, (now_us, label), revoked): Seen =
        redis.run(&INSPECT, &keys, &args).await?;
    let holder = match (code, FencingToken::new(fence)) {
        (0, _) => None,
        (1, Some(fence)) => Some(Holder {
            fence,
            label: (!label.is_empty()).then_some(label),
            held_for: Duration::from_micros(now_us.saturating_sub(fence.get())),
            lease_left: Duration::from_millis(left_ms),
        }),
        _ => {
            return Err(RedisError::reply(INSPECT.name(), "the lock's value is no token with a fence").into());
        }
    };
    let revoked = revoked.iter().filter_map(|entry| Revocation::parse(entry, now_us)).collect();
    Ok(Inspection { holder, waiting, revoked })
}

pub(crate) async fn force_release(
    redis: &Redis,
    keys: &LockKeys,
    fence: FencingToken,
    memory: Duration,
    label: &str,
) -> Result<Forced, Error> {
    let args = Args::new().int(redis.clock().micros_arg()).int(fence.into()).millis(memory).bytes(label);
    let keys = [&keys.lock, &keys.fence, &keys.revoked, &keys.channel];
    let (code, above): (i64, u64) = redis.run(&FORCE_RELEASE, &keys, &args).await?;
    match (code, FencingToken::new(above)) {
        (1, Some(above)) => Ok(Forced::Freed { above }),
        (2, _) => Ok(Forced::FreeAlready),
        (3, _) => Ok(Forced::HeldByNewer),
        _ => Err(unknown(&FORCE_RELEASE).into()),
    }
}

/// Whether the holder of this fence was made to give the lock up.
pub(crate) async fn was_revoked(
    redis: &Redis,
    claim: &Claim,
    fence: FencingToken,
) -> Result<bool, RedisError> {
    let args = Args::new().int(0).int(15);
    let revoked: Vec<String> = redis.command("LRANGE", &[&claim.keys.revoked], &args).await?;
    Ok(revoked.iter().any(|entry| Revocation::parse(entry, 0).is_some_and(|entry| entry.fence == fence)))
}
