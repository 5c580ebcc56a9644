//! Jobs that are pushed at the times of a cron pattern, once however many replicas do it.

use crate::error::Error;
use crate::new_job::NewJob;
use crate::queue::Queue;
use crate::scripts::{self, Fired};
use chrono::{DateTime, TimeZone, Utc};
use redis_patterns_core::Backoff;
use redis_patterns_core::telemetry::TARGET;
use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::AbortHandle;

/// Waits between tries while Redis is away.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
/// The longest sleep before the server is asked for its time again: clocks part, and a machine may
/// have been suspended.
const LOOK: Duration = Duration::from_secs(60);

/// The times of a cron pattern, in a time zone.
///
/// A pattern has five fields, or six with the seconds first, or seven with the year last: what
/// [croner](https://docs.rs/croner) reads. In a zone whose clocks change, it says which of an hour's
/// two times is meant, or what stands for one that is skipped.
#[derive(Clone)]
pub struct Cron {
    pattern: croner::Cron,
    next: Arc<Search>,
    previous: Arc<Search>,
}

/// The first moment of a pattern from a second since 1970 on, or back from it.
type Search = dyn Fn(&croner::Cron, i64) -> Option<i64> + Send + Sync;

impl Cron {
    /// The times of `pattern` in UTC.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is no pattern.
    pub fn utc(pattern: &str) -> Result<Self, Error> {
        Self::in_zone(pattern, Utc)
    }

    /// The times of `pattern` in a time zone, such as one of `chrono-tz`.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it is no pattern.
    pub fn in_zone<Tz>(pattern: &str, zone: Tz) -> Result<Self, Error>
    where
        Tz: TimeZone + Send + Sync + 'static,
    {
        let pattern = croner::Cron::from_str(pattern).map_err(|_| Error::Options("no cron pattern"))?;
        let other = zone.clone();
        let moment = |zone: &Tz, second| DateTime::from_timestamp(second, 0).map(|at| at.with_timezone(zone));
        let next = move |pattern: &croner::Cron, second: i64| {
            let found = pattern.find_next_occurrence(&moment(&zone, second)?, false);
            found.ok().map(|at| at.timestamp())
        };
        let previous = move |pattern: &croner::Cron, second: i64| {
            let found = pattern.find_previous_occurrence(&moment(&other, second)?, true);
            found.ok().map(|at| at.timestamp())
        };
        Ok(Self { pattern, next: Arc::new(next), previous: Arc::new(previous) })
    }

    /// The first tick after a moment, both in ms since 1970; `None` if there is none.
    fn after(&self, moment_ms: u64) -> Option<u64> {
        millis((self.next)(&self.pattern, second(moment_ms)))
    }

    /// The tick to fire next, if the last one was fired or passed over at `last_ms`.
    fn target(&self, missed: Missed, last_ms: u64, now_ms: u64) -> Option<u64> {
        match missed {
            Missed::Skip => self.after(last_ms.max(now_ms)),
            Missed::All => self.after(last_ms),
            Missed::Latest => {
                let latest = millis((self.previous)(&self.pattern, second(now_ms)));
                latest.filter(|&tick| tick > last_ms).or_else(|| self.after(last_ms.max(now_ms)))
            }
        }
    }
}

fn second(moment_ms: u64) -> i64 {
    i64::try_from(moment_ms / 1_000).unwrap_or(i64::MAX)
}

fn millis(second: Option<i64>) -> Option<u64> {
    u64::try_from(second?).ok()?.checked_mul(1_000)
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.pattern.as_str()).finish()
    }
}

/// What becomes of ticks that came while no replica ran, or Redis was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// The latest of them is fired, late.
    Latest,
    /// Each of them is fired, late, in order.
    All,
}

/// A schedule that this process takes part in, from [`Queue::cron`]. Dropping it ends that.
#[derive(Debug)]
#[must_use = "a schedule that is dropped fires no more here"]
pub struct Schedule(AbortHandle);

impl Drop for Schedule {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Queue {
    /// Pushes a job at each tick of `cron` by the server's clock, behind all that wait, until the
    /// [`Schedule`] is dropped. `job` makes it from the time of the tick.
    ///
    /// Start it on every replica: whichever comes first pushes the job of a tick, and the others
    /// find that it was. They are the replicas of one schedule by its `name` (any bytes), which remembers its
    /// last tick for 400 days. Under a name that is new the first tick is the next to come.
    ///
    /// One command for each replica and tick, and one a minute in between. It does not count for
    /// [`max_len`](crate::QueueOptions::max_len).
    ///
    /// ```no_run
    /// # async fn example(queue: redis_queue::Queue) -> Result<(), redis_queue::Error> {
    /// use redis_queue::{Cron, Missed, NewJob};
    ///
    /// let every_night = Cron::utc("0 3 * * *")?;
    /// let schedule = queue.cron("report", every_night, Missed::Latest, |_| NewJob::from("report")).await?;
    /// # drop(schedule); Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if the schedule cannot be noted; later outages are waited out.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn cron(
        &self,
        name: impl AsRef<[u8]>,
        cron: Cron,
        missed: Missed,
        job: impl Fn(SystemTime) -> NewJob + Send + Sync + 'static,
    ) -> Result<Schedule, Error> {
        let clerk = Clerk { queue: self.clone(), name: name.as_ref().to_vec(), cron, missed };
        let first = clerk.ask().await?;
        let task = tokio::spawn(async move { clerk.run(first, job).await });
        Ok(Schedule(task.abort_handle()))
    }
}

/// One replica of a schedule.
struct Clerk {
    queue: Queue,
    name: Vec<u8>,
    cron: Cron,
    missed: Missed,
}

impl Clerk {
    async fn ask(&self) -> Result<Fired, Error> {
        let key = self.queue.keys.cron(&self.name);
        Ok(scripts::fire(&self.queue.redis, &self.queue.keys, &key, None).await?)
    }

    async fn run(&self, first: Fired, job: impl Fn(SystemTime) -> NewJob) {
        let mut seen = first;
        // Past the last tick of the pattern there is nothing to do.
        while let Some(tick_ms) = self.cron.target(self.missed, seen.last_ms, seen.now_ms) {
            seen = self.fire(tick_ms, seen.now_ms, &job).await;
        }
    }

    /// Waits for a tick and fires it, if nobody does before; tells what the server then says.
    async fn fire(&self, tick_ms: u64, mut now_ms: u64, job: &impl Fn(SystemTime) -> NewJob) -> Fired {
        let mut tries = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(tick_ms.saturating_sub(now_ms)).min(LOOK)).await;
            let answer = match tries {
                0 => self.push(tick_ms, job(UNIX_EPOCH + Duration::from_millis(tick_ms))).await,
                // What was missed meanwhile is for the policy to judge.
                _ => self.ask().await,
            };
            match answer {
                Ok(fired) if tries == 0 && fired.last_ms < tick_ms => now_ms = fired.now_ms,
                Ok(fired) => return fired,
                Err(error) => {
                    tracing::warn!(target: TARGET, %error, "a tick of a schedule could not be fired");
                    // What does not pass by itself, such as a payload that is too large, may be put right.
                    let wait = if error.is_outage() { AGAIN.delay(tries) } else { LOOK };
                    tokio::time::sleep(wait).await;
                    (tries, now_ms) = (tries + 1, tick_ms);
                }
            }
        }
    }

    async fn push(&self, tick_ms: u64, job: NewJob) -> Result<Fired, Error> {
        let sealed = self.queue.seal_one(job, Duration::ZERO).await?;
        let key = self.queue.keys.cron(&self.name);
        let tick = (tick_ms, sealed.job);
        let fired = scripts::fire(&self.queue.redis, &self.queue.keys, &key, Some(tick)).await?;
        if !fired.here {
            self.queue.forget_payloads(sealed.aside);
        }
        Ok(fired)
    }
}
