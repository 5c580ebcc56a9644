//! Those of tokens and codes.

use crate::binding::Binding;
use bytes::Bytes;
use redis_patterns_core::{Args, Digest, Error, FromReply, Key, Redis, Script, Value, millis, script};
use std::time::Duration;

static TOKEN_ISSUE: Script = script!("session/token_issue", "token_issue.lua");
static TOKEN_CONSUME: Script = script!("session/token_consume", "token_consume.lua");
static CODE_ISSUE: Script = script!("session/code_issue", "code_issue.lua");
static CODE_VERIFY: Script = script!("session/code_verify", "code_verify.lua");

/// How long something lives, and how long after it the next may follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) ttl: Duration,
    pub(crate) cool_down: Duration,
}

impl Pace {
    /// Adds the life, and what is left at most of one that may be replaced.
    fn add_to(self, args: Args) -> Args {
        let ttl_ms = millis(self.ttl);
        let cool_down_ms = if self.cool_down.is_zero() { 0 } else { millis(self.cool_down) };
        args.int(ttl_ms).int((ttl_ms - cool_down_ms).max(0))
    }
}

/// How long to wait, or `None` if what was issued is there now.
pub(crate) async fn token_issue(
    redis: &Redis,
    place: &Key,
    token: &Digest,
    binding: &Binding,
    value: Bytes,
    pace: Pace,
) -> Result<Option<Duration>, Error> {
    let args = binding.add_to(Args::new().bytes(token)).shared(value);
    wait(&TOKEN_ISSUE, redis.run(&TOKEN_ISSUE, &[place], &pace.add_to(args)).await?)
}

fn wait(script: &Script, (code, wait_ms): (u32, u64)) -> Result<Option<Duration>, Error> {
    match code {
        1 => Ok(None),
        0 => Ok(Some(Duration::from_millis(wait_ms))),
        _ => Err(unknown(script)),
    }
}

/// The hash and the value of the token in this place, if there is one. A plain command.
pub(crate) async fn token_peek(redis: &Redis, place: &Key) -> Result<Option<(Bytes, Bytes)>, Error> {
    let fields = Args::new().word("token").word("value");
    let there: (Option<Bytes>, Option<Bytes>) = redis.command("HMGET", &[place], &fields).await?;
    Ok(there.0.zip(there.1))
}

/// What came of bringing a token.
#[derive(Debug)]
pub(crate) enum Brought {
    Consumed(Bytes),
    Unknown,
    OtherStamp,
    OtherBrowser,
}

pub(crate) async fn token_consume(
    redis: &Redis,
    place: &Key,
    token: &Digest,
    binding: &Binding,
) -> Result<Brought, Error> {
    let args = binding.add_to(Args::new().bytes(token));
    match redis.run::<(u32, Option<Bytes>)>(&TOKEN_CONSUME, &[place], &args).await? {
        (1, Some(value)) => Ok(Brought::Consumed(value)),
        (0, _) => Ok(Brought::Unknown),
        (2, _) => Ok(Brought::OtherStamp),
        (3, _) => Ok(Brought::OtherBrowser),
        _ => Err(unknown(&TOKEN_CONSUME)),
    }
}

/// The two keys of an identity.
#[derive(Debug)]
pub(crate) struct CodeKeys {
    pub(crate) place: Key,
    pub(crate) failures: Key,
}

/// A code as it is stored.
#[derive(Debug)]
pub(crate) struct StoredCode {
    pub(crate) issue: [u8; 16],
    pub(crate) mac: [u8; 32],
    pub(crate) value: Bytes,
}

/// How long to wait, or `None` if the code is there now.
pub(crate) async fn code_issue(
    redis: &Redis,
    keys: &CodeKeys,
    code: &StoredCode,
    pace: Pace,
    budget: u32,
) -> Result<Option<Duration>, Error> {
    let args = Args::new().bytes(code.issue).bytes(code.mac).shared(code.value.clone());
    let args = pace.add_to(args).int(budget.into());
    wait(&CODE_ISSUE, redis.run(&CODE_ISSUE, &[&keys.place, &keys.failures], &args).await?)
}

/// What came of a guess.
#[derive(Debug)]
pub(crate) enum Guess {
    Right(Bytes),
    Wrong(u32),
    NoCode,
    Locked(Duration),
}

/// How many guesses are allowed, and until when they count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub(crate) attempts: u32,
    pub(crate) budget: u32,
    pub(crate) window: Duration,
}

pub(crate) async fn code_verify(
    redis: &Redis,
    keys: &CodeKeys,
    mac: &[u8; 32],
    allowed: Allowed,
) -> Result<Guess, Error> {
    let args = Args::new().bytes(mac).int(allowed.attempts.into()).int(allowed.budget.into());
    let args = args.millis(allowed.window);
    let (code, detail) = redis.run(&CODE_VERIFY, &[&keys.place, &keys.failures], &args).await?;
    guess(code, detail).ok_or_else(|| unknown(&CODE_VERIFY))
}

fn guess(code: u32, detail: Value) -> Option<Guess> {
    Some(match code {
        0 => Guess::NoCode,
        1 => Guess::Right(Bytes::from_reply(detail)?),
        2 => Guess::Wrong(u32::from_reply(detail)?),
        3 => Guess::Locked(Duration::from_millis(u64::from_reply(detail)?)),
        _ => return None,
    })
}

fn unknown(script: &Script) -> Error {
    Error::reply(script.name(), "the script answered what its head does not name")
}
