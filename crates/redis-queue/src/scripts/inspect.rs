//! What an operator asks.

use crate::inspect::{DeadLetter, QueueStats, WorkerStats};
use crate::job::Job;
use crate::keys::Keys;
use bytes::Bytes;
use redis_patterns_core::{Args, Error, Redis, Script, script};
use std::time::Duration;

static INSPECT: Script = script!("queue/inspect", "inspect.lua");
static REPLAY: Script = script!("queue/replay", "replay.lua");

/// Counts jobs by state.
pub(crate) async fn inspect(redis: &Redis, keys: &Keys) -> Result<QueueStats, Error> {
    type Reply = (u64, u64, u64, u64, Vec<String>, Option<Bytes>);
    let args = Args::new().int(redis.clock().micros_arg());
    let keys = [&keys.pending, &keys.delayed, &keys.dead, &keys.leases];
    let (now_ms, pending, delayed, dead, leases, next): Reply = redis.run(&INSPECT, &keys, &args).await?;
    let age = |job: Job| {
        let pushed = job.id().pushed_at().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(now_ms).saturating_sub(pushed)
    };
    let (pairs, _) = leases.as_chunks::<2>();
    let workers = pairs.iter().map(|[incarnation, until_ms]| {
        let until_ms: u64 = until_ms.parse().unwrap_or(0);
        let lease_left = until_ms.checked_sub(now_ms).filter(|left| *left > 0).map(Duration::from_millis);
        WorkerStats { incarnation: incarnation.clone(), lease_left }
    });
    let (workers, oldest_age) = (workers.collect(), next.and_then(Job::open).map(age));
    Ok(QueueStats { pending, delayed, dead, oldest_age, workers })
}

/// `LRANGE pending`: the jobs that are next, the very next last.
pub(crate) async fn peek(redis: &Redis, keys: &Keys, most: u16) -> Result<Vec<Bytes>, Error> {
    let args = Args::new().int(-i64::from(most.max(1))).int(-1);
    redis.command("LRANGE", &[&keys.pending], &args).await
}

/// `XRANGE dead`.
pub(crate) async fn dead_letters(
    redis: &Redis,
    keys: &Keys,
    after: Option<&str>,
    most: u16,
) -> Result<Vec<DeadLetter>, Error> {
    let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
    let args = Args::new().bytes(from).word("+").word("COUNT").int(most.max(1).into());
    let entries: Vec<(String, Vec<Bytes>)> = redis.command("XRANGE", &[&keys.dead], &args).await?;
    let letter = |(id, fields): (String, Vec<Bytes>)| {
        let field = |name: &str| {
            let (pairs, _) = fields.as_chunks::<2>();
            pairs.iter().find(|[field, _]| field == name).map(|[_, value]| value.clone())
        };
        let why = String::from_utf8_lossy(&field("why").unwrap_or_default()).into_owned();
        DeadLetter { id, job: field("job").and_then(Job::open), why }
    };
    Ok(entries.into_iter().map(letter).collect())
}

/// Puts a dead letter's job back as `job`.
pub(crate) async fn replay(redis: &Redis, keys: &Keys, letter: &str, job: Bytes) -> Result<bool, Error> {
    let args = Args::new().bytes(letter).shared(job);
    let reply: Vec<bool> = redis.run(&REPLAY, &[&keys.dead, &keys.pending], &args).await?;
    Ok(reply.first() == Some(&true))
}

/// `XDEL dead`.
pub(crate) async fn delete_dead(redis: &Redis, keys: &Keys, letter: &str) -> Result<bool, Error> {
    redis.command("XDEL", &[&keys.dead], &Args::new().bytes(letter)).await
}
