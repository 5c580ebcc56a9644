//! Checks of limits: `check` with `KIND LIMIT PERIOD_MS SUBJECT`, ok `allowed` or `denied`.

use super::Ended;
use crate::check::Left;
use crate::client::{Client, Context, Phase};
use crate::controls;
use redis_patterns_testkit::faults::history::now_ns;
use redis_ratelimit::{
    ApproximateWindow, Error, FixedWindow, Policy, RateLimiter, SlidingLog, SlidingWindow, TokenBucket,
};
use std::num::NonZeroU64;
use std::time::Duration;

/// Longer than any run: what is admitted under it is exact.
const LONG: Duration = Duration::from_secs(12 * 3_600);
const SHORT: Duration = Duration::from_millis(400);
const LIMIT: NonZeroU64 = NonZeroU64::new(25).unwrap();
/// Subjects of long limits change so often, at the same time in all processes.
const TURN_NS: u64 = 300_000_000;

/// One limit and what the checker has to know of it.
struct Limit {
    kind: &'static str,
    limiter: RateLimiter,
    period: Duration,
}

fn limits(ctx: &Context) -> Result<Vec<Limit>, Error> {
    let of = |kind, period| -> Result<Limit, Error> {
        let name = if period == LONG { "long" } else { "short" };
        let policy: Policy = match kind {
            "fixed" => FixedWindow::new(name, LIMIT, period)?.into(),
            "bucket" => TokenBucket::new(name, LIMIT, period)?.into(),
            "log" => SlidingLog::new(name, LIMIT, period)?.into(),
            "window" => SlidingWindow::new(name, LIMIT, period)?.into(),
            _ => ApproximateWindow::new(name, LIMIT, period)?.into(),
        };
        Ok(Limit { kind, limiter: RateLimiter::new(ctx.redis.clone(), policy), period })
    };
    let long = ["fixed", "bucket", "log", "window", "approximate"].map(|kind| of(kind, LONG));
    let short = ["bucket", "log", "window"].map(|kind| of(kind, SHORT));
    long.into_iter().chain(short).collect()
}

pub(super) async fn run(ctx: Context, mut client: Client) -> Ended {
    let limits = limits(&ctx)?;
    while ctx.until(Phase::Work) {
        let limit = &limits[client.dice.usize(..limits.len())];
        let turn = if limit.period == LONG { now_ns() / TURN_NS } else { 0 };
        check(&ctx, &mut client, limit, &format!("s{turn}")).await;
        client.breathe().await;
    }
    Ok(())
}

async fn check(ctx: &Context, client: &mut Client, limit: &Limit, subject: &str) {
    let value = format!("{} {LIMIT} {} {subject}", limit.kind, limit.period.as_millis());
    let said = |allowed: bool| if allowed { "allowed" } else { "denied" }.to_owned();
    match ctx.orders.control {
        None => {
            // A subject of its own for each kind: a block would meet all that share a name.
            let id = ctx.id(&format!("{}{subject}", limit.kind));
            let work = limit.limiter.check(id);
            client.call("check", &value, work, |decision| said(decision.is_allowed())).await;
        }
        Some(control) => {
            let id = format!("{}{subject}", limit.kind);
            let work = controls::ratelimit::check(ctx, control, id, LIMIT.get(), limit.period);
            client.call("check", &value, work, |allowed| said(*allowed)).await;
        }
    }
}

/// How often the server counted, for the control that counts its sends.
pub(super) async fn final_read(ctx: &Context, mut client: Client, _: &Left) -> Ended {
    if ctx.orders.control == Some(14) {
        let work = controls::ratelimit::counted(ctx);
        client.call("counted", "", work, u64::to_string).await;
    }
    Ok(())
}
