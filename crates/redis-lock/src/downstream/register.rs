//! A value in Redis that only the highest fence may write.

use super::store::{FenceStore, Verdict};
use crate::error::Error;
use crate::fence::FencingToken;
use crate::{keys, scripts};
use redis_patterns_core::Redis;
use std::time::Duration;

/// Values in Redis, each with the highest fence seen; cheap to clone.
///
/// # It forgets with its server
///
/// A failover may lose the last write and the fence that came with it, and a register expires after
/// its time. What must not be lost belongs in a database.
#[derive(Clone, Debug)]
pub struct FencedRegister {
    redis: Redis,
    keep: Duration,
}

impl FencedRegister {
    /// Registers on `redis`, each kept for `keep` (1 ms to 2^53 ms) after its last write or seal.
    /// Longer than any holder may stand still: a register that is gone admits every fence.
    #[must_use]
    pub fn new(redis: Redis, keep: Duration) -> Self {
        Self { redis, keep }
    }

    /// Replaces the value of `resource`, unless a higher fence was seen. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis did not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped call may still write.
    ///
    /// # If the reply is lost
    ///
    /// The value may have been written; writing it again under the same fence does no harm, and is
    /// refused if a newer holder came between.
    pub async fn write(
        &self,
        resource: &str,
        fence: FencingToken,
        value: impl AsRef<[u8]>,
    ) -> Result<Verdict, Error> {
        let key = keys::register(self.redis.namespace(), resource);
        scripts::write_register(&self.redis, &key, fence, value.as_ref(), self.keep).await
    }

    /// The value of `resource`. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis did not answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn read(&self, resource: &str) -> Result<Option<Vec<u8>>, Error> {
        scripts::read_register(&self.redis, &keys::register(self.redis.namespace(), resource)).await
    }
}

impl FenceStore for FencedRegister {
    type Error = Error;

    async fn seal(&self, resource: &str, fence: FencingToken) -> Result<Verdict, Error> {
        let key = keys::register(self.redis.namespace(), resource);
        scripts::seal_register(&self.redis, &key, fence, self.keep).await
    }
}
