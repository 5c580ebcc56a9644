//! One server of the deployment, and the questions put to it.

use redis_patterns_core::{Args, Error, FromReply, Redis};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what the doctor sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicU64>);

impl Sent {
    pub(crate) fn add(&self, commands: u64) {
        self.0.fetch_add(commands, Ordering::Relaxed);
    }

    /// The count since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// One server that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) redis: Redis,
    pub(crate) sent: Sent,
}

impl Node {
    pub(crate) async fn ask<R: FromReply>(&self, name: &'static str, args: &Args) -> Result<R, Error> {
        self.sent.add(1);
        self.redis.keyless(name, args).await
    }
}
