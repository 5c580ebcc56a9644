//! A value in Redis that only the highest fence may write.

use super::unknown;
use crate::downstream::Verdict;
use crate::error::Error;
use crate::fence::FencingToken;
use bytes::Bytes;
use redis_patterns_core::{Args, Key, Redis, Script, script};
use std::time::Duration;

static SEAL_REGISTER: Script = script!("lock/seal_register", "seal_register.lua");
static WRITE_REGISTER: Script = script!("lock/write_register", "write_register.lua");

pub(crate) async fn seal_register(
    redis: &Redis,
    register: &Key,
    fence: FencingToken,
    keep: Duration,
) -> Result<Verdict, Error> {
    let args = Args::new().int(fence.into()).millis(keep);
    verdict(&SEAL_REGISTER, redis.run(&SEAL_REGISTER, &[register], &args).await?)
}

pub(crate) async fn write_register(
    redis: &Redis,
    register: &Key,
    fence: FencingToken,
    value: &[u8],
    keep: Duration,
) -> Result<Verdict, Error> {
    let args = Args::new().int(fence.into()).bytes(value).millis(keep);
    verdict(&WRITE_REGISTER, redis.run(&WRITE_REGISTER, &[register], &args).await?)
}

pub(crate) async fn read_register(redis: &Redis, register: &Key) -> Result<Option<Vec<u8>>, Error> {
    let value: Option<Bytes> = redis.command("HGET", &[register], &Args::new().word("value")).await?;
    Ok(value.map(|bytes| bytes.to_vec()))
}

fn verdict(script: &Script, (code, highest): (i64, u64)) -> Result<Verdict, Error> {
    match (code, FencingToken::new(highest)) {
        (1, _) => Ok(Verdict::Admitted),
        (2, Some(highest)) => Ok(Verdict::Stale { highest }),
        _ => Err(unknown(script).into()),
    }
}
