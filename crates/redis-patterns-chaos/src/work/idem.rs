//! Requests with keys, sent by several clients at a time.
//!
//! - `begin` with `KEY BODY`, ok `started ATTEMPT`, `replay ANSWER`, `busy`, `doubt` or `mismatch`
//! - `effect` with `KEY ATTEMPT`: what the request is for, recorded outside Redis
//! - `complete` with `KEY ATTEMPT ANSWER`, ok `stored` or `lost`
//! - `final` as `begin`, when all is over

use super::Ended;
use crate::check::Left;
use crate::client::{Client, Context, Phase};
use crate::controls;
use crate::orders::LEASE;
use redis_idem::{Begin, Claim, Completion, Error, Fingerprint, Idempotency, Options, Scope};
use redis_patterns_testkit::faults::history::now_ns;
use std::time::Duration;

/// New keys come so often, at the same time in all processes.
const TURN_NS: u64 = 40_000_000;

/// A claim, ours or a control's.
#[derive(Debug)]
pub(crate) enum Found {
    Ours(Claim),
    Control(controls::idem::Claim),
}

fn engine(ctx: &Context) -> Result<Idempotency, Error> {
    let options = Options::new().lease(LEASE).retention(Duration::from_secs(12 * 3_600));
    Idempotency::with_options(ctx.redis.clone(), options)
}

pub(super) async fn run(ctx: Context, mut client: Client) -> Ended {
    let engine = engine(&ctx)?;
    let mut known: Option<String> = None;
    while ctx.until(Phase::Work) {
        let back = if client.dice.bool() { 0 } else { client.dice.u64(..50) };
        let key = format!("k{}", now_ns() / TURN_NS - back);
        if let Some((claim, attempt)) = begin(&ctx, &engine, &mut client, "begin", &key, "a").await {
            work(&mut client, &key, attempt, claim).await;
        }
        // A key that was begun before, with another body.
        let other = known.replace(key).filter(|_| client.dice.u8(..8) == 0);
        if let Some(key) = other
            && let Some((claim, attempt)) = begin(&ctx, &engine, &mut client, "begin", &key, "b").await
        {
            work(&mut client, &key, attempt, claim).await;
        }
        client.breathe().await;
    }
    Ok(())
}

async fn begin(
    ctx: &Context,
    engine: &Idempotency,
    client: &mut Client,
    op: &str,
    key: &str,
    body: &str,
) -> Option<(Found, u32)> {
    let scope = if ctx.orders.hostile { Scope::tenant(ctx.id(key)) } else { Scope::Global };
    let print = Fingerprint::of(if ctx.orders.control == Some(8) { "" } else { body });
    let work = async {
        if ctx.orders.control == Some(7) {
            return controls::idem::begin(ctx, key).await;
        }
        Ok(match engine.begin(&scope, "op", key, print).await? {
            Begin::Started(claim) => {
                let attempt = claim.attempt();
                (format!("started {attempt}"), Some((Found::Ours(claim), attempt)))
            }
            Begin::Replay(answer) => (format!("replay {}", String::from_utf8_lossy(&answer)), None),
            Begin::InProgress { .. } => ("busy".to_owned(), None),
            Begin::InDoubt => ("doubt".to_owned(), None),
            _ => ("mismatch".to_owned(), None),
        })
    };
    let value = format!("{key} {body}");
    let said = |found: &(String, _)| found.0.clone();
    client.call::<_, Error>(op, &value, work, said).await.and_then(|(_, found)| found)
}

async fn work(client: &mut Client, key: &str, attempt: u32, claim: Found) {
    client.note("effect", &format!("{key} {attempt}"));
    // Long enough, now and then, that a kill or a pause meets somebody at work.
    let longest_us = if client.dice.u8(..3) == 0 { 400_000 } else { 3_000 };
    tokio::time::sleep(Duration::from_micros(client.dice.u64(..longest_us))).await;
    let answer = format!("{:016x}", client.dice.u64(..));
    let value = format!("{key} {attempt} {answer}");
    let work = async {
        let stored = match claim {
            Found::Ours(claim) => claim.complete(answer).await? == Completion::Stored,
            Found::Control(claim) => claim.complete(&answer).await?,
        };
        Ok::<_, Error>(stored)
    };
    client.call("complete", &value, work, |stored| if *stored { "stored" } else { "lost" }.to_owned()).await;
}

/// Every request that was completed is replayed.
pub(super) async fn final_read(ctx: &Context, mut client: Client, left: &Left) -> Ended {
    let engine = engine(ctx)?;
    for key in &left.names {
        for _ in 0..20 {
            let before = begin(ctx, &engine, &mut client, "final", key, "a").await;
            if before.is_none() {
                break;
            }
        }
    }
    Ok(())
}
