//! Queues that lose jobs, or let a late worker end another's.

use crate::client::{Client, Context, Phase};
use crate::orders::LEASE;
use redis_patterns_core::{Args, Error, Key, Tag};
use std::time::{Duration, SystemTime};

fn keys(ctx: &Context) -> [Key; 2] {
    let of = |part: &str| ctx.redis.namespace().part("control", &Tag::of("jobs"), part);
    [of("pending"), of("leases")]
}

pub(crate) async fn push(ctx: &Context, name: &str) -> Result<(), Error> {
    let [pending, _] = keys(ctx);
    ctx.redis.command::<u64>("LPUSH", &[&pending], &Args::new().bytes(name)).await.map(drop)
}

pub(crate) async fn left(ctx: &Context) -> Option<u64> {
    let [pending, leases] = keys(ctx);
    let waiting: u64 = ctx.redis.command("LLEN", &[&pending], &Args::new()).await.ok()?;
    let held: u64 = ctx.redis.command("ZCARD", &[&leases], &Args::new()).await.ok()?;
    Some(waiting + held)
}

/// Takes by RPOP, notes the lease by ZADD; between the two, a job is nowhere.
pub(crate) async fn consume(
    ctx: &Context,
    mut client: Client,
    control: u8,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    while ctx.until(Phase::Quiet) {
        let (before, work) = if control == 11 { (3, 0) } else { (0, 20) };
        let times = [before, work].map(Duration::from_millis);
        if let Err(error) = one(ctx, &mut client, times).await
            && !error.is_outage()
        {
            return Err(error.into());
        }
        client.breathe().await;
    }
    Ok(())
}

async fn one(ctx: &Context, client: &mut Client, [before, work]: [Duration; 2]) -> Result<(), Error> {
    let [pending, leases] = keys(ctx);
    let redis = &ctx.redis;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let range = Args::new().int(0).millis(now).word("BYSCORE").word("LIMIT").int(0).int(1);
    let over: Vec<String> = redis.command("ZRANGE", &[&leases], &range).await?;
    for job in over {
        // Whoever removes it brings it back.
        if redis.command::<u64>("ZREM", &[&leases], &Args::new().bytes(&job)).await? == 1 {
            redis.command::<u64>("RPUSH", &[&pending], &Args::new().bytes(&job)).await?;
        }
    }
    let job: Option<String> = redis.command("RPOP", &[&pending], &Args::new()).await?;
    let Some(job) = job else { return Ok(()) };
    tokio::time::sleep(before).await;
    let lease = Args::new().millis(now + LEASE).bytes(&job);
    redis.command::<u64>("ZADD", &[&leases], &lease).await?;
    let value = format!("{job} 1");
    client.note("take", &value);
    tokio::time::sleep(work).await;
    let ack = async { redis.command::<u64>("ZREM", &[&leases], &Args::new().bytes(&job)).await };
    client.call("ack", &value, ack, |_| "done".to_owned()).await;
    Ok(())
}
