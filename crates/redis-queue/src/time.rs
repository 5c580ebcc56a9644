//! The server's time between two looks at it.

use crate::error::Error;
use crate::job::Job;
use crate::keys::Keys;
use crate::queue::Queue;
use crate::scripts;
use redis_patterns_core::{BootInstant, Redis};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a look is good for: two quartz clocks part by less than 1 ms in it.
const GOOD_FOR: Duration = Duration::from_secs(10);

impl Queue {
    /// How long a job may still run by the server's clock; `None` = for ever.
    pub(crate) async fn time_left(&self, job: &Job) -> Result<Option<Duration>, Error> {
        let deadline_ms = job.header().deadline_ms;
        if deadline_ms == 0 {
            return Ok(None);
        }
        let now_ms = self.time.now_ms(&self.redis, &self.keys).await?;
        Ok(Some(Duration::from_millis(deadline_ms.saturating_sub(now_ms))))
    }
}

/// What the server said last, and when it was asked.
#[derive(Debug, Default)]
pub(crate) struct ServerTime(Mutex<Option<(BootInstant, u64)>>);

impl ServerTime {
    /// Milliseconds since 1970 by the server's clock, late by at most a round trip. Asks the server
    /// if that is longer ago than it is good for.
    pub(crate) async fn now_ms(&self, redis: &Redis, keys: &Keys) -> Result<u64, Error> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, then_ms)) = known
            && asked.elapsed() < GOOD_FOR
        {
            return Ok(then_ms + u64::try_from(asked.elapsed().as_millis()).unwrap_or(0));
        }
        let now_ms = scripts::clock(redis, keys).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((BootInstant::now(), now_ms));
        Ok(now_ms)
    }
}
