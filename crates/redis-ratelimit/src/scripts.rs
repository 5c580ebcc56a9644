//! One typed function per script; nothing else knows their wire shapes.

use crate::decision::{Decision, Outcome};
use crate::error::Error;
use crate::options::FixedWindow;
use redis_patterns_core::{Args, Key, Redis, Script, script};
use std::time::Duration;

static FIXED_WINDOW: Script = script!("ratelimit/fixed_window", "scripts/fixed_window.lua");

pub(crate) async fn fixed_window(
    redis: &Redis,
    window: &Key,
    policy: &FixedWindow,
) -> Result<Decision, Error> {
    let limit = policy.limit().get();
    let args = Args::new().int(limit.cast_signed()).millis(policy.period());
    let (allowed, count, left_ms): (bool, u64, u64) = redis.run(&FIXED_WINDOW, &[window], &args).await?;
    let reset_after = Duration::from_millis(left_ms);
    let outcome = if allowed { Outcome::Allowed } else { Outcome::Denied { retry_after: reset_after } };
    Ok(Decision { outcome, limit, remaining: limit.saturating_sub(count), reset_after })
}
