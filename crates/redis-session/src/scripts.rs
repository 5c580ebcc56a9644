//! One typed function per script and per plain command; nothing else knows their wire shapes.

pub(crate) mod one_time;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
pub(crate) mod tower;

use crate::options::Options;
use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis, Script, millis, script};

static CREATE: Script = script!("session/create", "scripts/create.lua");
static LOAD: Script = script!("session/load", "scripts/load.lua");
static ROTATE: Script = script!("session/rotate", "scripts/rotate.lua");
static UPDATE: Script = script!("session/update", "scripts/update.lua");

fn now(redis: &Redis) -> Args {
    Args::new().int(redis.clock().micros_arg())
}

/// Whether the key was free and the session has begun.
pub(crate) async fn create(redis: &Redis, key: &Key, value: Bytes, options: &Options) -> Result<bool, Error> {
    let args = now(redis).shared(value).millis(options.idle_timeout()).millis(options.absolute_timeout());
    redis.run(&CREATE, &[key], &args).await
}

/// The value; the idle time starts anew if a share of it has passed.
pub(crate) async fn load(redis: &Redis, key: &Key, options: &Options) -> Result<Option<Bytes>, Error> {
    let idle_ms = millis(options.idle_timeout());
    let untouched_ms = idle_ms - idle_ms / 100 * i64::from(options.touch_percent().min(100));
    let args = now(redis).int(idle_ms).int(untouched_ms);
    redis.run(&LOAD, &[key], &args).await
}

/// Whether the session was there and now holds the value.
pub(crate) async fn update(redis: &Redis, key: &Key, value: Bytes, options: &Options) -> Result<bool, Error> {
    redis.run(&UPDATE, &[key], &now(redis).shared(value).millis(options.idle_timeout())).await
}

/// Whether the session was there and now has the key `renamed`, and that alone.
pub(crate) async fn rotate(
    redis: &Redis,
    key: &Key,
    renamed: &Key,
    value: Bytes,
    options: &Options,
) -> Result<bool, Error> {
    let args = now(redis).shared(value).millis(options.idle_timeout());
    match redis.run::<u32>(&ROTATE, &[key, renamed], &args).await? {
        1 | 2 => Ok(true),
        0 => Ok(false),
        _ => Err(Error::reply(ROTATE.name(), "the script answered a code that its head does not name")),
    }
}

/// Whether there was something to delete.
pub(crate) async fn delete(redis: &Redis, key: &Key) -> Result<bool, Error> {
    redis.command("DEL", &[key], &Args::new()).await
}
