//! Locks that do not lock.

use crate::client::Context;
use crate::orders::LEASE;
use redis_patterns_core::{Args, Error, FromReply, Key, Redis, Script, Tag};
use redis_patterns_testkit::faults::history::now_ns;
use std::time::Duration;

static DELETE_OWN: Script = Script::new(
    "control/unlock",
    "#!lua flags=allow-oom\n-- KEYS[1] lock\n-- ARGV[1] token\nif redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\nreturn 0\n",
);

/// A lock by SET NX.
#[derive(Debug)]
pub(crate) struct Grant {
    redis: Redis,
    lock: Key,
    token: String,
    pub(crate) fence: u64,
    pub(crate) until_ns: u64,
    plain_delete: bool,
}

pub(crate) async fn acquire(ctx: &Context, control: u8, name: &str) -> Result<Option<Grant>, Error> {
    let redis = ctx.redis.clone();
    let of = |part: &str| redis.namespace().part("control", &Tag::of(name), part);
    let (lock, fences) = (of("lock"), of("fence"));
    let token = format!("{:x}", fastrand::u64(..));
    let sent = now_ns();
    let args = Args::new().bytes(&token).word("NX").word("PX").millis(LEASE);
    // The reply was lost; the second answer is believed, though the first may have won.
    let sends = if control == 5 { 3 } else { 1 };
    let got: Option<String> = again(&redis, sends, "SET", &lock, &args).await?;
    if got.is_none() {
        return Ok(None);
    }
    let (none, day) = (Args::new(), Args::new().millis(Duration::from_secs(86_400)));
    let fence: u64 = again(&redis, sends, "INCR", &fences, &none).await?;
    let _: u64 = again(&redis, sends, "PEXPIRE", &fences, &day).await?;
    let until_ns = sent + u64::try_from(LEASE.as_nanos()).unwrap_or_default() * 95 / 100;
    Ok(Some(Grant { redis, lock, token, fence, until_ns, plain_delete: control == 3 }))
}

/// As clients do that send again whatever got no answer.
async fn again<R: FromReply>(
    redis: &Redis,
    sends: u32,
    name: &'static str,
    key: &Key,
    args: &Args,
) -> Result<R, Error> {
    let mut sent = 1;
    loop {
        match redis.command(name, &[key], args).await {
            Err(error) if error.is_passing() && sent < sends => sent += 1,
            answer => return answer,
        }
    }
}

impl Grant {
    pub(crate) async fn release(self) -> Result<(), Error> {
        if self.plain_delete {
            return self.redis.command::<u64>("DEL", &[&self.lock], &Args::new()).await.map(drop);
        }
        let token = Args::new().bytes(&self.token);
        let mut freed = self.redis.run::<u64>(&DELETE_OWN, &[&self.lock], &token).await;
        for _ in 0..2 {
            if freed.as_ref().is_err_and(Error::is_passing) {
                freed = self.redis.run(&DELETE_OWN, &[&self.lock], &token).await;
            }
        }
        freed.map(drop)
    }
}
