//! What came of a job.

use crate::report::Report;
use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis, Script, script};
use std::time::Duration;

static REPORT: Script = script!("queue/report", "report.lua");

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Done,
    Dead,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }
}

/// Notes how far a job is; false if somebody knows better.
pub(crate) async fn report(
    redis: &Redis,
    result: &Key,
    delivery: u32,
    state: State,
    value: &[u8],
    keep: Duration,
) -> Result<bool, Error> {
    let args = Args::new().int(delivery.into()).word(state.name()).bytes(value).millis(keep);
    redis.run(&REPORT, &[result], &args).await
}

/// `HMGET result state value`.
pub(crate) async fn result(redis: &Redis, result: &Key) -> Result<Option<Report>, Error> {
    let args = Args::new().word("state").word("value");
    let (state, value): (Option<String>, Option<Bytes>) = redis.command("HMGET", &[result], &args).await?;
    let value = value.unwrap_or_default();
    Ok(match state.as_deref() {
        None => None,
        Some("running") => Some(Report::Running { progress: value }),
        Some("done") => Some(Report::Done { result: value }),
        Some("dead") => Some(Report::Dead { reason: String::from_utf8_lossy(&value).into_owned() }),
        Some(_) => return Err(Error::reply("queue/result", "the result has a state of a later version")),
    })
}
