//! One typed function per script; nothing else knows their wire shapes.

mod holds;
mod outside;
mod permits;
mod register;

pub(crate) use holds::{Acquired, Freed, acquire, confirm, extend, extend_all, raise, release, settle};
pub(crate) use outside::{force_release, inspect, was_revoked};
pub(crate) use register::{read_register, seal_register, write_register};

use crate::error::Error;
use crate::fence::FencingToken;
use redis_patterns_core::{Error as RedisError, Script};

fn unknown(script: &Script) -> RedisError {
    RedisError::reply(script.name(), "the answer has an unknown code")
}

/// The answer of what raises a fence.
fn raised(script: &Script, (code, fence): (i64, u64)) -> Result<Option<FencingToken>, Error> {
    match (code, FencingToken::new(fence)) {
        (1, Some(fence)) => Ok(Some(fence)),
        (2, _) => Ok(None),
        (3, _) => Err(Error::FenceExhausted),
        _ => Err(unknown(script).into()),
    }
}
