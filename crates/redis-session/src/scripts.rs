//! One typed function per script and per plain command; nothing else knows their wire shapes.

pub(crate) mod one_time;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
pub(crate) mod tower;

use crate::id::SessionRef;
use crate::keys::SessionKeys;
use crate::options::{Options, WhenFull};
use crate::version::Version;
use bytes::Bytes;
use redis_patterns_core::{Args, Error, FromReply, Key, Redis, Script, Value, millis, script};
use std::time::Duration;

static CREATE: Script = script!("session/create", "scripts/create.lua");
static HEADS: Script = script!("session/heads", "scripts/heads.lua");
static LOAD: Script = script!("session/load", "scripts/load.lua");
static REVOKE: Script = script!("session/revoke", "scripts/revoke.lua");
static REVOKE_OTHERS: Script = script!("session/revoke_others", "scripts/revoke_others.lua");
static ROTATE: Script = script!("session/rotate", "scripts/rotate.lua");
static UPDATE: Script = script!("session/update", "scripts/update.lua");

/// What became of a session that was to begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It began; these sessions, by their names in the index, made room for it.
    Begun(Vec<String>),
    Taken,
    Full,
}

/// What became of an update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    Yes,
    /// It has another version than was expected.
    Changed,
    Gone,
}

/// The first arguments of every script that writes.
fn times(redis: &Redis, options: &Options) -> Args {
    Args::new().int(redis.clock().micros_arg()).millis(options.idle_timeout())
}

fn unknown_code(script: &Script) -> Error {
    Error::reply(script.name(), "the script answered a code that its head does not name")
}

/// Begins a session; `rest` is what [`stored::rest`](crate::stored::rest) gives. The limit holds for
/// the sessions beside the one that is `uncounted`.
pub(crate) async fn create(
    redis: &Redis,
    keys: &SessionKeys,
    rest: Bytes,
    owned: bool,
    uncounted: Option<SessionRef>,
    options: &Options,
) -> Result<Created, Error> {
    let member = if owned { keys.member.as_str() } else { "" };
    let (limit, end_oldest) = match options.limit() {
        Some((limit, when_full)) if owned => (limit.get(), when_full == WhenFull::EndOldest),
        _ => (0, false),
    };
    let args = times(redis, options).millis(options.absolute_timeout()).shared(rest).bytes(member);
    let args = args.int(i64::from(limit)).int(i64::from(end_oldest));
    let args = args.bytes(uncounted.map_or_else(String::new, |session| session.to_string()));
    match redis.run::<(u32, Vec<String>)>(&CREATE, &[&keys.session, &keys.index], &args).await? {
        (1, ended) => Ok(Created::Begun(ended)),
        (0, _) => Ok(Created::Taken),
        (2, _) => Ok(Created::Full),
        _ => Err(unknown_code(&CREATE)),
    }
}

/// When a load starts the idle time anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    AfterItsShare,
    AtOnce,
}

/// Whether the idle time began anew, and the session.
pub(crate) async fn load(
    redis: &Redis,
    keys: &SessionKeys,
    options: &Options,
    touch: Touch,
) -> Result<Option<(bool, Bytes)>, Error> {
    let idle_ms = millis(options.idle_timeout());
    let untouched_ms = match touch {
        Touch::AfterItsShare => idle_ms - idle_ms / 100 * i64::from(options.touch_percent().min(100)),
        Touch::AtOnce => idle_ms,
    };
    let args = times(redis, options).int(untouched_ms).bytes(&keys.member);
    match redis.run::<Value>(&LOAD, &[&keys.session, &keys.index], &args).await? {
        Value::Nil => Ok(None),
        Value::Bytes(stored) => Ok(Some((false, stored))),
        touched => match <(u32, Bytes)>::from_reply(touched) {
            Some((1, stored)) => Ok(Some((true, stored))),
            _ => Err(unknown_code(&LOAD)),
        },
    }
}

/// Replaces the value if the session is there and, if one is given, has the version `expected`.
pub(crate) async fn update(
    redis: &Redis,
    keys: &SessionKeys,
    value: Bytes,
    expected: Option<&Version>,
    version: &Version,
    options: &Options,
) -> Result<Replaced, Error> {
    let expected = expected.map_or("", Version::as_str);
    let args = times(redis, options).bytes(&keys.member).bytes(expected);
    let args = args.bytes(version.as_str()).shared(value);
    match redis.run::<u32>(&UPDATE, &[&keys.session, &keys.index], &args).await? {
        1 | 2 => Ok(Replaced::Yes),
        3 => Ok(Replaced::Changed),
        0 => Ok(Replaced::Gone),
        _ => Err(unknown_code(&UPDATE)),
    }
}

/// Gives the session the key of `renamed`, and that alone, if it is there and, if one is given, has
/// the version `expected`.
pub(crate) async fn rotate(
    redis: &Redis,
    keys: &SessionKeys,
    renamed: &SessionKeys,
    value: Bytes,
    expected: Option<&Version>,
    version: &Version,
    options: &Options,
) -> Result<Replaced, Error> {
    let expected = expected.map_or("", Version::as_str);
    let args = times(redis, options).bytes(&keys.member).bytes(&renamed.member).bytes(expected);
    let args = args.bytes(version.as_str()).shared(value);
    match redis.run::<u32>(&ROTATE, &[&keys.session, &renamed.session, &keys.index], &args).await? {
        1 | 2 => Ok(Replaced::Yes),
        3 => Ok(Replaced::Changed),
        0 => Ok(Replaced::Gone),
        _ => Err(unknown_code(&ROTATE)),
    }
}

/// Whether the session was there.
pub(crate) async fn revoke(redis: &Redis, keys: &SessionKeys) -> Result<bool, Error> {
    redis.run(&REVOKE, &[&keys.session, &keys.index], &Args::new().bytes(&keys.member)).await
}

/// How many others were ended, or `None` if the session itself is gone.
pub(crate) async fn revoke_others(redis: &Redis, keys: &SessionKeys) -> Result<Option<u64>, Error> {
    let args = Args::new().int(redis.clock().micros_arg()).bytes(&keys.member);
    match redis.run::<(u32, u64)>(&REVOKE_OTHERS, &[&keys.session, &keys.index], &args).await? {
        (1, ended) => Ok(Some(ended)),
        (0, _) => Ok(None),
        _ => Err(unknown_code(&REVOKE_OTHERS)),
    }
}

/// Forgets an index, and with it every session in it; whether there was one. The server frees its
/// memory beside its work, so this takes as long for many sessions as for one.
pub(crate) async fn unlink(redis: &Redis, index: &Key) -> Result<bool, Error> {
    redis.command("UNLINK", &[index], &Args::new()).await
}

/// The names in an index, those that end first at the front.
pub(crate) async fn members(redis: &Redis, index: &Key) -> Result<Vec<String>, Error> {
    redis.command("ZRANGE", &[index], &Args::new().int(0).int(-1)).await
}

/// How many sessions [`heads`] reads at once.
pub(crate) const HEADS_AT_ONCE: usize = 100;

/// What is left of each session in ms, and its beginning.
pub(crate) async fn heads(
    redis: &Redis,
    index: &Key,
    sessions: &[SessionKeys],
) -> Result<Vec<(i64, Bytes)>, Error> {
    let keys: Vec<&Key> = [index].into_iter().chain(sessions.iter().map(|keys| &keys.session)).collect();
    let args = sessions.iter().fold(Args::new(), |args, keys| args.bytes(&keys.member));
    redis.run(&HEADS, &keys, &args).await
}

/// Whether there was something to delete.
pub(crate) async fn delete(redis: &Redis, key: &Key) -> Result<bool, Error> {
    redis.command("DEL", &[key], &Args::new()).await
}

/// Whether the value was set: `NX` if there was none, `XX` if there was one.
pub(crate) async fn set(
    redis: &Redis,
    key: &Key,
    value: Bytes,
    when: &'static str,
    ttl: Duration,
) -> Result<bool, Error> {
    let args = Args::new().shared(value).word(when).word("PX").millis(ttl);
    Ok(redis.command::<Option<Bytes>>("SET", &[key], &args).await?.is_some())
}

/// The value, whose TTL begins anew.
pub(crate) async fn getex(redis: &Redis, key: &Key, ttl: Duration) -> Result<Option<Bytes>, Error> {
    redis.command("GETEX", &[key], &Args::new().word("PX").millis(ttl)).await
}
