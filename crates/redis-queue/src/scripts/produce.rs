//! How jobs come in, now or later.

use super::{MOVE_BATCH, number, span};
use crate::job::JobId;
use crate::keys::Keys;
use crate::outcome::Pushed;
use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis, Script, script};
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static PUSH: Script = script!("queue/push", "push.lua");
static PUSH_UNIQUE: Script = script!("queue/push_unique", "push_unique.lua");
static SCHEDULE: Script = script!("queue/schedule", "schedule.lua");
static CLOCK: Script = script!("queue/clock", "clock.lua");
static PROMOTE: Script = script!("queue/promote", "promote.lua");

/// Adds jobs; answers whether there was room, and how many wait.
pub(crate) async fn push(
    redis: &Redis,
    keys: &Keys,
    max_len: Option<NonZeroU64>,
    jobs: Vec<Bytes>,
) -> Result<(bool, u64), Error> {
    let args = jobs.into_iter().fold(Args::new().int(most(max_len)), Args::shared);
    redis.run(&PUSH, &[&keys.pending], &args).await
}

/// Adds a job unless one with the same key was added within the window.
pub(crate) async fn push_unique(
    redis: &Redis,
    keys: &Keys,
    max_len: Option<NonZeroU64>,
    unique: (&Key, Duration),
    (id, job): (JobId, Bytes),
) -> Result<Pushed, Error> {
    let (key, window) = unique;
    let args = Args::new().int(most(max_len)).millis(window).bytes(id.as_bytes()).shared(job);
    let (code, depth, first): (i64, u64, Bytes) =
        redis.run(&PUSH_UNIQUE, &[&keys.pending, key], &args).await?;
    let wrong = || Error::reply("queue/push_unique", "the reply names no job");
    Ok(match code {
        1 => Pushed::Accepted { ids: vec![id], depth },
        0 => Pushed::Full { depth },
        _ => Pushed::Duplicate { of: JobId(first.as_ref().try_into().map_err(|_| wrong())?), depth },
    })
}

fn most(max_len: Option<NonZeroU64>) -> i64 {
    max_len.map_or(0, |most| number(most.get()))
}

/// `LLEN pending`.
pub(crate) async fn depth(redis: &Redis, keys: &Keys) -> Result<u64, Error> {
    redis.command("LLEN", &[&keys.pending], &Args::new()).await
}

/// The server's time in milliseconds since 1970.
pub(crate) async fn clock(redis: &Redis, keys: &Keys) -> Result<u64, Error> {
    redis.run(&CLOCK, &[&keys.pending], &Args::new().int(redis.clock().micros_arg())).await
}

/// When a job is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    In(Duration),
    At(SystemTime),
}

/// Adds a job that waits until it is due; answers how many wait like that.
pub(crate) async fn schedule(redis: &Redis, keys: &Keys, due: Due, job: Bytes) -> Result<u64, Error> {
    let args = Args::new().int(redis.clock().micros_arg());
    let args = match due {
        Due::In(delay) => args.millis(delay).int(0),
        Due::At(at) => args.int(0).millis(at.duration_since(UNIX_EPOCH).unwrap_or_default()),
    };
    let (_, delayed): (i64, u64) =
        redis.run(&SCHEDULE, &[&keys.delayed, &keys.wake], &args.shared(job)).await?;
    Ok(delayed)
}

/// What a promotion did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promoted {
    pub(crate) moved: u64,
    /// How long until the next delayed job is due; zero if more are due now.
    pub(crate) due_in: Option<Duration>,
}

/// Moves a bounded number of delayed jobs that are due.
pub(crate) async fn promote(redis: &Redis, keys: &Keys) -> Result<Promoted, Error> {
    let args = Args::new().int(redis.clock().micros_arg()).int(MOVE_BATCH);
    let (moved, due_in) = redis.run(&PROMOTE, &[&keys.delayed, &keys.pending], &args).await?;
    Ok(Promoted { moved, due_in: span(due_in) })
}
