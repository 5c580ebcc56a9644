//! Producers and consumers of one queue.
//!
//! - `push` with `NAME DELAY_MS`, ok `pushed` or `full`
//! - `take` with `NAME DELIVERY`: a consumer has it
//! - `ack` with `NAME DELIVERY`, ok `done` or `lost`
//! - `left` when all is over, ok with how many jobs are left anywhere

use super::Ended;
use crate::client::{Client, Context, Phase};
use crate::controls;
use crate::orders::LEASE;
use redis_patterns_testkit::faults::history::now_ns;
use redis_queue::{Error, Queue, QueueOptions, Reader, WorkerOptions};
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

const MAX_LEN: NonZeroU64 = NonZeroU64::new(400).unwrap();
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).unwrap();

fn queue(ctx: &Context) -> Queue {
    Queue::with_options(ctx.redis.clone(), ctx.id("jobs"), QueueOptions::default().max_len(MAX_LEN))
}

pub(super) async fn produce(ctx: Context, mut client: Client) -> Ended {
    let queue = queue(&ctx);
    for number in 0_u64.. {
        if !ctx.until(Phase::Work) {
            break;
        }
        let name = format!("j{}-{number}-{}", ctx.orders.number, now_ns() % 1_000);
        let delay = if client.dice.u8(..8) == 0 { client.dice.u64(50..300) } else { 0 };
        let work = push(&ctx, &queue, &name, delay);
        client.call("push", &format!("{name} {delay}"), work, String::clone).await;
        client.breathe().await;
    }
    Ok(())
}

async fn push(ctx: &Context, queue: &Queue, name: &str, delay: u64) -> Result<String, Error> {
    if ctx.orders.control.is_some() {
        controls::queue::push(ctx, name).await?;
        return Ok("pushed".to_owned());
    }
    // The label stands first, so that a taken job can be told from any other.
    let payload = [name.as_bytes(), b" ", &ctx.id(name)].concat();
    if delay > 0 {
        queue.push_in(Duration::from_millis(delay), payload).await?;
        return Ok("pushed".to_owned());
    }
    let pushed = queue.push(payload).await?;
    Ok(if pushed.is_accepted() { "pushed" } else { "full" }.to_owned())
}

pub(super) async fn consume(ctx: Context, client: Client) -> Ended {
    if let Some(control) = ctx.orders.control {
        return controls::queue::consume(&ctx, client, control).await;
    }
    let options =
        WorkerOptions::default().lease(LEASE).concurrency(AT_ONCE).block(Duration::from_millis(500));
    let reader = loop {
        // A worker that starts into a fault tries again.
        match Box::pin(queue(&ctx).reader(options.clone())).await {
            Ok(reader) => break reader,
            Err(error) if error.is_outage() && ctx.until(Phase::Quiet) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let ended = tokio::join!(take(&ctx, ctx.client(2), &reader), take(&ctx, ctx.client(3), &reader));
    ended.0.and(ended.1)?;
    reader.close().await?;
    Ok(())
}

async fn take(ctx: &Context, mut client: Client, reader: &Reader) -> Ended {
    while ctx.until(Phase::Quiet) {
        let Ok(next) = tokio::time::timeout(Duration::from_millis(200), reader.next()).await else {
            continue;
        };
        let job = match next {
            Ok(Some(job)) => job,
            Ok(None) => return Ok(()),
            Err(error) if error.is_outage() => continue,
            Err(error) => return Err(error.into()),
        };
        let (label, body) = split(job.payload());
        let whole = ctx.id(&label) == body;
        let value = format!("{label} {}", job.delivery());
        client.note(if whole { "take" } else { "torn" }, &value);
        tokio::time::sleep(Duration::from_micros(client.dice.u64(..3_000))).await;
        client
            .call("ack", &value, job.ack(), |settled| {
                if settled.is_done() { "done" } else { "lost" }.to_owned()
            })
            .await;
    }
    Ok(())
}

fn split(payload: &[u8]) -> (String, Vec<u8>) {
    let at = payload.iter().position(|byte| *byte == b' ').unwrap_or(payload.len());
    (String::from_utf8_lossy(&payload[..at]).into_owned(), payload.get(at + 1..).unwrap_or_default().to_vec())
}

/// Whether no job waits or is put off; what workers hold is for whoever can ask the servers.
pub(super) async fn drained(ctx: &Context) -> bool {
    match ctx.orders.control {
        Some(_) => controls::queue::left(ctx).await == Some(0),
        None => {
            let stats = Box::pin(queue(ctx).stats()).await;
            stats.is_ok_and(|stats| stats.pending + stats.delayed + stats.dead == 0)
        }
    }
}
