//! The handle that a service holds.

use crate::decision::Decision;
use crate::error::Error;
use crate::options::FixedWindow;
use crate::{keys, scripts};
use redis_patterns_core::Redis;

/// A limit on how often each subject may do something; cheap to clone.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    redis: Redis,
    policy: FixedWindow,
}

impl RateLimiter {
    /// A limiter that counts on `redis`.
    #[must_use]
    pub fn new(redis: Redis, policy: FixedWindow) -> Self {
        Self { redis, policy }
    }

    /// Counts one request of `subject` (a user, an address, a tenant: any bytes) and says whether
    /// it may go on. One round trip; a denial counts nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer: the caller decides whether to let the request
    /// through ([`Error::is_outage`] tells an outage from a mistake).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped check may still count.
    ///
    /// # If the reply is lost
    ///
    /// The request may have been counted. Checking again can only refuse more, never admit more.
    pub async fn check(&self, subject: impl AsRef<[u8]>) -> Result<Decision, Error> {
        let window = keys::window(self.redis.namespace(), subject.as_ref(), self.policy.name());
        scripts::fixed_window(&self.redis, &window, &self.policy).await
    }

    /// The limit.
    #[must_use]
    pub fn policy(&self) -> &FixedWindow {
        &self.policy
    }
}
