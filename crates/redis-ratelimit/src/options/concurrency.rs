//! How many at the same time.

use super::{Common, Kind, Rule, micros};
use crate::error::Error;
use std::num::NonZeroU64;
use std::time::Duration;

/// At most `limit` holders at the same time, each for as long as it keeps extending its lease.
///
/// A holder that is killed stops extending, and its slot is free again when its lease ends, by the
/// server's time. See [`ConcurrencyLimiter`](crate::ConcurrencyLimiter).
///
/// # Worst case: the limit
///
/// The server never keeps more than `limit` leases that are not over. A holder that stands still for
/// longer than its lease (a long pause of its process, a network that is cut) may go on working when
/// its slot has gone to another: [`Slot::is_held`](crate::Slot::is_held) tells it so.
///
/// ```
/// use redis_ratelimit::Concurrency;
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let exports = Concurrency::new("exports", NonZeroU64::new(3).unwrap(), Duration::from_secs(30)).unwrap();
/// assert_eq!(exports.lease(), Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrency(Common);

impl Concurrency {
    /// A limit called `name` (1 to 64 bytes), which is part of its keys, and how long a killed holder
    /// keeps its slot. A third of the lease is the pause between two extensions.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a name that is empty or longer than 64 bytes, a limit above 2^53, a
    /// lease below 10 milliseconds or above 2^52 microseconds (142 years).
    pub fn new(name: &str, limit: NonZeroU64, lease: Duration) -> Result<Self, Error> {
        if lease < Duration::from_millis(10) {
            return Err(Error::Policy("a lease is at least 10 milliseconds"));
        }
        Common::new(name, limit, lease).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The most holders at the same time.
    #[must_use]
    pub fn limit(&self) -> NonZeroU64 {
        self.0.limit
    }

    /// How long a holder keeps its slot without extending it.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.0.period
    }

    pub(crate) fn rule(&self) -> Rule {
        self.0.rule(Kind::Slots, micros(self.0.period), 0)
    }
}
