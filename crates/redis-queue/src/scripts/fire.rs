//! The ticks of schedules.

use super::number;
use crate::keys::Keys;
use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis, Script, script};
use std::time::Duration;

static FIRE: Script = script!("queue/fire", "fire.lua");

/// How long the last tick is remembered: longer than from one to the next of any pattern but a leap
/// day's.
const REMEMBERED: Duration = Duration::from_secs(400 * 86_400);

/// What the server says of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fired {
    /// Whether this call added the job.
    pub(crate) here: bool,
    /// The server's time.
    pub(crate) now_ms: u64,
    /// The last tick that was fired, or when the schedule was new.
    pub(crate) last_ms: u64,
}

/// Adds the job of a tick if that is due and nobody has; without one it only asks.
pub(crate) async fn fire(
    redis: &Redis,
    keys: &Keys,
    last: &Key,
    tick: Option<(u64, Bytes)>,
) -> Result<Fired, Error> {
    let (tick_ms, job) = tick.unwrap_or_default();
    let args =
        Args::new().int(redis.clock().micros_arg()).int(number(tick_ms)).shared(job).millis(REMEMBERED);
    let (here, now_ms, last_ms) = redis.run(&FIRE, &[last, &keys.pending], &args).await?;
    Ok(Fired { here, now_ms, last_ms })
}
