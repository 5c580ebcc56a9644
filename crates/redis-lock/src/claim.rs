//! What is asked for, and under which token.

use crate::error::Error;
use crate::keys::LockKeys;
use redis_patterns_core::{BootInstant, Token};
use std::fmt;
use std::time::Duration;

/// A lock that this process asks for or may hold.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) share: Share,
    pub(crate) keys: LockKeys,
    pub(crate) token: HolderToken,
    pub(crate) sent: BootInstant,
    pub(crate) lease: Duration,
    /// How long the fence is remembered.
    pub(crate) memory: Duration,
}

/// How much of a name is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Share {
    /// A mutex.
    Whole,
    /// Some of the permits of a semaphore or read-write lock.
    Permits { weight: u32, limit: u32, fences: Fences },
}

/// Which fence comes with permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fences {
    /// One above every earlier one.
    Own,
    /// The last one issued: readers share that of the writer before them.
    Last,
}

/// How a lock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Now or not at all.
    Try,
    /// Now, or a place in the queue.
    Queue,
}

/// Names one request: 128 random bits, and the label of the holder if it has one. Both together
/// make the owner, so no script needs to know of labels.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct HolderToken(String);

impl HolderToken {
    pub(crate) fn random(label: Option<&str>) -> Result<Self, Error> {
        let token = Token::random()?;
        Ok(Self(match label {
            Some(label) => format!("{}@{label}", token.as_str()),
            None => token.as_str().to_owned(),
        }))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for HolderToken {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for HolderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HolderToken(..)")
    }
}
