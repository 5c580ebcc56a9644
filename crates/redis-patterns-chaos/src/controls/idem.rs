//! An engine whose late owner overwrites what came after it.

use crate::client::Context;
use crate::orders::LEASE;
use crate::work::Found;
use redis_idem::Error;
use redis_patterns_core::{Args, Key, Redis, Tag};
use std::time::Duration;

/// A claim by SET NX, completed by plain SET.
#[derive(Debug)]
pub(crate) struct Claim {
    redis: Redis,
    key: Key,
}

type Begun = (String, Option<(Found, u32)>);

pub(crate) async fn begin(ctx: &Context, key: &str) -> Result<Begun, Error> {
    let redis = ctx.redis.clone();
    let (tag, names) = (Tag::of(key), redis.namespace().clone());
    let (record, attempts) = (names.part("control", &tag, "record"), names.part("control", &tag, "attempts"));
    let args = Args::new().bytes("pending").word("NX").word("PX").millis(LEASE);
    let won: Option<String> = redis.command("SET", &[&record], &args).await?;
    if won.is_none() {
        let found: Option<String> = redis.command("GET", &[&record], &Args::new()).await?;
        return Ok(match found.as_deref() {
            None | Some("pending") => ("busy".to_owned(), None),
            Some(answer) => (format!("replay {answer}"), None),
        });
    }
    let attempt: u32 = redis.command("INCR", &[&attempts], &Args::new()).await?;
    redis.command::<u64>("PEXPIRE", &[&attempts], &Args::new().millis(HOUR)).await?;
    Ok((format!("started {attempt}"), Some((Found::Control(Claim { redis, key: record }), attempt))))
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Claim {
    pub(crate) async fn complete(self, answer: &str) -> Result<bool, Error> {
        let args = Args::new().bytes(answer).word("PX").millis(HOUR);
        self.redis.command::<()>("SET", &[&self.key], &args).await?;
        Ok(true)
    }
}
