//! Permits of semaphores and read-write locks.

use super::holds::{Acquired, Freed};
use super::unknown;
use crate::claim::{Ask, Claim, Fences};
use crate::error::Error;
use crate::waiting::ALIVE;
use redis_patterns_core::{Args, Dedicated, Error as RedisError, Redis, Script, script};

static ENTER: Script = script!("lock/enter", "enter.lua");
static LEAVE: Script = script!("lock/leave", "leave.lua");
static PROLONG: Script = script!("lock/prolong", "prolong.lua");
pub(super) static RAISE: Script = script!("lock/raise_permit", "raise_permit.lua");

pub(super) async fn enter(
    redis: &Redis,
    claim: &Claim,
    (weight, limit, fences): (u32, u32, Fences),
    ask: Ask,
) -> Result<Acquired, Error> {
    let Claim { keys, token, lease, memory, .. } = claim;
    let args = Args::new()
        .int(redis.clock().micros_arg())
        .bytes(token)
        .int(weight.into())
        .int(limit.into())
        .millis(*lease)
        .millis(*memory);
    let args = if ask == Ask::Queue { args.millis(ALIVE) } else { args.int(0) };
    let args = args.int(if fences == Fences::Own { 1 } else { 2 });
    let keys = [&keys.lock, &keys.fence, &keys.queue, &keys.alive];
    Acquired::of(&ENTER, redis.run(&ENTER, &keys, &args).await?)
}

pub(super) async fn leave(
    redis: &Redis,
    claim: &Claim,
    weight: u32,
    limit: u32,
) -> Result<Freed, RedisError> {
    let Claim { keys, token, .. } = claim;
    let args = Args::new().int(redis.clock().micros_arg()).bytes(token).int(weight.into()).int(limit.into());
    let keys = [&keys.lock, &keys.queue, &keys.alive, &keys.channel];
    match redis.run::<i64>(&LEAVE, &keys, &args).await? {
        1 => Ok(Freed::Yes),
        2 => Ok(Freed::FreeAlready),
        _ => Err(unknown(&LEAVE)),
    }
}

pub(super) async fn prolong(redis: &Redis, claim: &Claim) -> Result<bool, RedisError> {
    prolonged(redis.run(&PROLONG, &[&claim.keys.lock], &prolong_args(redis, claim)).await?)
}

pub(super) async fn confirm(line: &Dedicated, redis: &Redis, claim: &Claim) -> Result<bool, RedisError> {
    prolonged(line.run(&PROLONG, &[&claim.keys.lock], &prolong_args(redis, claim)).await?)
}

fn prolong_args(redis: &Redis, claim: &Claim) -> Args {
    Args::new().int(redis.clock().micros_arg()).bytes(&claim.token).millis(claim.lease)
}

fn prolonged(code: i64) -> Result<bool, RedisError> {
    match code {
        1 => Ok(true),
        2 => Ok(false),
        _ => Err(unknown(&PROLONG)),
    }
}
