//! Stores that bring sessions back, or say that they saved one that is gone.

use crate::client::Context;
use redis_patterns_core::{Args, Error, Key, Tag};
use redis_session::SessionId;
use std::time::Duration;

fn key(ctx: &Context, id: &SessionId) -> Key {
    ctx.redis.namespace().key("control", &Tag::of(id.reference().to_string()))
}

fn value() -> Args {
    Args::new().int(7).word("PX").millis(Duration::from_secs(3_600))
}

pub(crate) async fn get(ctx: &Context, id: &SessionId) -> Result<Option<u64>, Error> {
    ctx.redis.command("GET", &[&key(ctx, id)], &Args::new()).await
}

pub(crate) async fn put(ctx: &Context, id: &SessionId) -> Result<(), Error> {
    ctx.redis.command("SET", &[&key(ctx, id)], &value()).await
}

/// Whether it was there is in the reply, which is not looked at.
pub(crate) async fn put_if_there(ctx: &Context, id: &SessionId) -> Result<(), Error> {
    ctx.redis.command::<Option<String>>("SET", &[&key(ctx, id)], &value().word("XX")).await.map(drop)
}

pub(crate) async fn delete(ctx: &Context, id: &SessionId) -> Result<(), Error> {
    ctx.redis.command::<u64>("DEL", &[&key(ctx, id)], &Args::new()).await.map(drop)
}
