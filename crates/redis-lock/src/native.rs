//! Comparing and deleting in one command of the server's own, where it has one.

use crate::claim::{Claim, Share};
use crate::fence::FencingToken;
use redis_patterns_core::{Args, Error as RedisError, Redis};

/// Deletes the lock if it has this token and fence still. `false` says nothing more: the server has
/// no such command, or the lock is another's, or nobody's.
///
/// Valkey 9 has `DELIFEQ`, Redis 8.4 `DELEX`; each is probed once. Hands the lock to nobody, so it
/// is for locks whose waiters poll.
pub(crate) async fn delete_if_held(
    redis: &Redis,
    claim: &Claim,
    fence: FencingToken,
) -> Result<bool, RedisError> {
    let Share::Whole = claim.share else { return Ok(false) };
    let value = format!("{}:{fence}", claim.token.as_str());
    let key = &claim.keys.lock;
    if redis.supports("DELIFEQ").await? {
        return redis.command("DELIFEQ", &[key], &Args::new().bytes(value)).await;
    }
    if redis.supports("DELEX").await? {
        return redis.command("DELEX", &[key], &Args::new().word("IFEQ").bytes(value)).await;
    }
    Ok(false)
}
