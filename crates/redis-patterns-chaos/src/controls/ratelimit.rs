//! Limits that do not limit.

use crate::client::Context;
use redis_patterns_core::{Args, Error, Key, Script, Tag};
use std::time::Duration;

/// Its second key is not declared, so nobody checks that it is where the first one is.
static UNDECLARED: Script = Script::new(
    "control/undeclared",
    "-- KEYS[1] a\n-- ARGV[1] b\nredis.call('INCR', KEYS[1])\nreturn redis.call('INCR', ARGV[1])\n",
);

fn key(ctx: &Context, id: &str) -> Key {
    ctx.redis.namespace().key("control", &Tag::of(id))
}

pub(crate) async fn check(
    ctx: &Context,
    control: u8,
    id: String,
    limit: u64,
    period: Duration,
) -> Result<bool, Error> {
    let key = key(ctx, &id);
    match control {
        1 => read_then_write(ctx, &key, limit, period).await,
        2 => Ok(ctx.redis.command::<u64>("INCR", &[&key], &Args::new()).await? <= limit),
        13 => two_keys(ctx).await,
        _ => three_sends(ctx, &self::key(ctx, "sends")).await,
    }
}

async fn read_then_write(ctx: &Context, key: &Key, limit: u64, period: Duration) -> Result<bool, Error> {
    let count: Option<u64> = ctx.redis.command("GET", &[key], &Args::new()).await?;
    let count = count.unwrap_or(0);
    if count >= limit {
        return Ok(false);
    }
    let next = i64::try_from(count + 1).unwrap_or(i64::MAX);
    let args = Args::new().int(next).word("PX").millis(period);
    ctx.redis.command::<()>("SET", &[key], &args).await?;
    Ok(true)
}

/// One of fifty pairs; both keys of a pair count the same, as long as calls are atomic.
async fn two_keys(ctx: &Context) -> Result<bool, Error> {
    let number = fastrand::usize(..50);
    let (first, second) = pair(ctx, number);
    ctx.redis.run::<u64>(&UNDECLARED, &[&first], &Args::new().bytes(second.as_bytes())).await?;
    Ok(true)
}

fn pair(ctx: &Context, number: usize) -> (Key, Key) {
    let tag = Tag::of(format!("pair{number}"));
    let of = |part: &str| ctx.redis.namespace().part("control", &tag, part);
    (of("a"), of("b"))
}

/// Pairs of which one key counted a call that the other did not.
pub(crate) async fn uneven(ctx: &Context) -> u64 {
    let mut uneven = 0;
    for number in 0..50 {
        let (first, second) = pair(ctx, number);
        let mut counts = [0_u64; 2];
        for (count, key) in counts.iter_mut().zip([first, second]) {
            let found: Option<u64> =
                ctx.redis.command("GET", &[&key], &Args::new()).await.unwrap_or_default();
            *count = found.unwrap_or_default();
        }
        uneven += counts[0].abs_diff(counts[1]);
    }
    uneven
}

async fn three_sends(ctx: &Context, key: &Key) -> Result<bool, Error> {
    let mut sent = 0;
    loop {
        sent += 1;
        match ctx.redis.command::<u64>("INCR", &[key], &Args::new()).await {
            Err(error) if error.is_passing() && sent < 3 => {}
            done => return done.map(|_| true),
        }
    }
}

/// How often the server executed what was asked for once.
pub(crate) async fn counted(ctx: &Context) -> Result<u64, Error> {
    let count: Option<u64> = ctx.redis.command("GET", &[&key(ctx, "sends")], &Args::new()).await?;
    Ok(count.unwrap_or_default())
}
