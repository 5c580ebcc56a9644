//! One typed function per script; nothing else knows their wire shapes.

use crate::error::Error;
use crate::options::{FixedWindow, Policy, SlidingLog, SlidingWindow, TokenBucket};
use redis_patterns_core::{Args, Key, Redis, Script, millis, script};
use std::num::NonZeroU64;
use std::time::Duration;

static FIXED_WINDOW: Script = script!("ratelimit/fixed_window", "scripts/fixed_window.lua");
static TOKEN_BUCKET: Script = script!("ratelimit/token_bucket", "scripts/token_bucket.lua");
static SLIDING_LOG: Script = script!("ratelimit/sliding_log", "scripts/sliding_log.lua");
static SLIDING_WINDOW: Script = script!("ratelimit/sliding_window", "scripts/sliding_window.lua");
static FIXED_WINDOW_REFUND: Script =
    script!("ratelimit/fixed_window_refund", "scripts/fixed_window_refund.lua");
static TOKEN_BUCKET_REFUND: Script =
    script!("ratelimit/token_bucket_refund", "scripts/token_bucket_refund.lua");
static SLIDING_LOG_REFUND: Script = script!("ratelimit/sliding_log_refund", "scripts/sliding_log_refund.lua");
static SLIDING_WINDOW_REFUND: Script =
    script!("ratelimit/sliding_window_refund", "scripts/sliding_window_refund.lua");

/// How much is asked for: nothing below `least`, up to `most`; a `most` of 0 only looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) least: NonZeroU64,
    pub(crate) most: u64,
}

/// What every script answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) taken: u64,
    pub(crate) left: u64,
    /// Until `least` are left; zero if they are.
    pub(crate) wait: Duration,
    /// Until nothing is held against the subject.
    pub(crate) reset_after: Duration,
    pub(crate) mark: Mark,
}

/// Which window, take or bucket was charged, as the script of the policy names it to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Of nothing: no window, take or bucket is called so.
    pub(crate) const NONE: Self = Self(0);
}

type Reply = (u64, u64, u64, u64, u64);

impl Answer {
    fn new((taken, left, wait, reset, mark): Reply, time: fn(u64) -> Duration) -> Self {
        Self { taken, left, wait: time(wait), reset_after: time(reset), mark: Mark(mark) }
    }
}

impl Ask {
    fn to(self, args: Args) -> Args {
        args.int(int(self.least.get())).int(int(self.most))
    }
}

pub(crate) async fn fixed_window(
    redis: &Redis,
    window: &Key,
    ask: Ask,
    policy: &FixedWindow,
) -> Result<Answer, Error> {
    let args = ask.to(Args::new()).int(int(policy.limit().get())).int(millis(policy.period()));
    let reply = redis.run(&FIXED_WINDOW, &[window], &args).await?;
    Ok(Answer::new(reply, Duration::from_millis))
}

pub(crate) async fn token_bucket(
    redis: &Redis,
    bucket: &Key,
    ask: Ask,
    policy: &TokenBucket,
) -> Result<Answer, Error> {
    let (burst, scale) = (policy.capacity().get(), policy.scale());
    let args = ask.to(now(redis)).int(int(burst)).int(scale.parts).int(scale.drain);
    let reply = redis.run(&TOKEN_BUCKET, &[bucket], &args).await?;
    Ok(Answer::new(reply, Duration::from_micros))
}

pub(crate) async fn sliding_log(
    redis: &Redis,
    log: &Key,
    ask: Ask,
    policy: &SlidingLog,
) -> Result<Answer, Error> {
    let args = ask.to(now(redis)).int(int(policy.limit().get())).int(micros(policy.period()));
    let reply = redis.run(&SLIDING_LOG, &[log], &args).await?;
    Ok(Answer::new(reply, Duration::from_micros))
}

pub(crate) async fn sliding_window(
    redis: &Redis,
    window: &Key,
    ask: Ask,
    policy: &SlidingWindow,
) -> Result<Answer, Error> {
    let args = ask.to(now(redis)).int(int(policy.limit().get()));
    let args = args.int(micros(policy.bucket_width())).int(policy.bucket_count());
    let reply = redis.run(&SLIDING_WINDOW, &[window], &args).await?;
    Ok(Answer::new(reply, Duration::from_micros))
}

/// Gives units back to what `mark` names; how many came back.
pub(crate) async fn refund(
    redis: &Redis,
    key: &Key,
    mark: Mark,
    units: u64,
    policy: &Policy,
) -> Result<u64, Error> {
    let (mark, units) = (int(mark.0), int(units));
    let named = Args::new().int(mark).int(units);
    let (script, args) = match policy {
        Policy::FixedWindow(_) => (&FIXED_WINDOW_REFUND, named),
        Policy::TokenBucket(bucket) => {
            let scale = bucket.scale();
            let args = now(redis).int(mark).int(units).int(scale.parts).int(scale.drain);
            (&TOKEN_BUCKET_REFUND, args)
        }
        Policy::SlidingLog(_) => (&SLIDING_LOG_REFUND, named),
        Policy::SlidingWindow(_) => (&SLIDING_WINDOW_REFUND, named),
    };
    Ok(redis.run(script, &[key], &args).await?)
}

/// Deletes the key; whether there was one.
pub(crate) async fn forget(redis: &Redis, key: &Key) -> Result<bool, Error> {
    Ok(redis.command("UNLINK", &[key], &Args::new()).await?)
}

fn now(redis: &Redis) -> Args {
    Args::new().int(redis.clock().micros_arg())
}

/// Rounded up: a limit is never looser than it says.
fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// A script reads 53 bits; what is larger is more than any limit.
fn int(number: u64) -> i64 {
    number.min(1 << 53).cast_signed()
}
