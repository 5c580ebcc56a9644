//! What an operator asks of a queue, and what they can do about dead letters.

use crate::error::Error;
use crate::job::Job;
use crate::queue::Queue;
use crate::scripts;
use std::time::Duration;

/// How many dead letters are read at a time.
const PAGE: u64 = 100;

/// The jobs of a queue by state, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Jobs that wait.
    pub pending: u64,
    /// Jobs that wait until they are due.
    pub delayed: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// How long ago the next job was pushed, by the producer's clock against the server's.
    pub oldest_age: Option<Duration>,
    /// Workers that are registered, up to 1,000.
    pub workers: Vec<WorkerStats>,
}

/// One worker's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// The name of this incarnation: part of the name of its list.
    pub incarnation: String,
    /// How long its lease still runs; `None` if it is over and the worker not yet reaped.
    pub lease_left: Option<Duration>,
}

/// A job that was given up, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id of the entry in the stream; it starts with the milliseconds at which the job was
    /// given up.
    pub id: String,
    /// The job, or `None` if the entry is none that this version can read.
    pub job: Option<Job>,
    /// Why.
    pub why: String,
}

impl Queue {
    /// Counts the jobs by state. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> Result<QueueStats, Error> {
        Ok(scripts::inspect(&self.redis, &self.keys).await?)
    }

    /// Up to `most` jobs that wait, the next first; none is taken. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn peek(&self, most: u16) -> Result<Vec<Job>, Error> {
        let elements = scripts::peek(&self.redis, &self.keys, most).await?;
        Ok(elements.into_iter().rev().filter_map(Job::open).collect())
    }

    /// Up to `most` dead letters after the one with the id `after`, the oldest first. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`], also for an `after` that is no id.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn dead_letters(&self, after: Option<&str>, most: u16) -> Result<Vec<DeadLetter>, Error> {
        Ok(scripts::dead_letters(&self.redis, &self.keys, after, most).await?)
    }

    /// Puts the job of a dead letter behind all that wait, its failures and losses forgotten. Its
    /// delivery goes on counting. False if the letter is gone, or is none that can run. One round
    /// trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped replay may still happen.
    ///
    /// # If the reply is lost
    ///
    /// Ask again: false then means that it was done.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<bool, Error> {
        let Some(job) = &letter.job else { return Ok(false) };
        let job = job.restamped(|header| (header.failures, header.losses) = (0, 0));
        Ok(scripts::replay(&self.redis, &self.keys, &letter.id, job).await?)
    }

    /// Deletes a dead letter; false if it is gone. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped call may still delete.
    ///
    /// # If the reply is lost
    ///
    /// Ask again: false then means that it was done.
    pub async fn delete_dead(&self, letter: &DeadLetter) -> Result<bool, Error> {
        Ok(scripts::delete_dead(&self.redis, &self.keys, &letter.id).await?)
    }

    /// Replays every dead letter for which `matches` says so; answers how many. Two round trips and
    /// one for each 100 letters and each replay.
    ///
    /// Looks at as many letters as there are at the start, so that jobs that die again meanwhile do not
    /// keep it going.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; what was replayed until then stays replayed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: each letter is replayed or not.
    ///
    /// # If the reply is lost
    ///
    /// Call again: what was replayed is no letter any more.
    pub async fn replay_where(&self, mut matches: impl FnMut(&DeadLetter) -> bool) -> Result<u64, Error> {
        let (mut walk, mut replayed) = (self.walk().await?, 0);
        while let Some(letters) = walk.next(self).await? {
            for letter in letters.iter().filter(|letter| matches(letter)) {
                replayed += u64::from(self.replay(letter).await?);
            }
        }
        Ok(replayed)
    }

    /// Deletes every dead letter for which `matches` says so; otherwise as [`Queue::replay_where`].
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; what was deleted until then stays deleted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: each letter is deleted or not.
    ///
    /// # If the reply is lost
    ///
    /// Call again.
    pub async fn delete_where(&self, mut matches: impl FnMut(&DeadLetter) -> bool) -> Result<u64, Error> {
        let (mut walk, mut deleted) = (self.walk().await?, 0);
        while let Some(letters) = walk.next(self).await? {
            for letter in letters.iter().filter(|letter| matches(letter)) {
                deleted += u64::from(self.delete_dead(letter).await?);
            }
        }
        Ok(deleted)
    }

    async fn walk(&self) -> Result<Walk, Error> {
        Ok(Walk { after: None, left: self.stats().await?.dead })
    }
}

/// A way through the dead letters that were there at its start.
struct Walk {
    after: Option<String>,
    left: u64,
}

impl Walk {
    async fn next(&mut self, queue: &Queue) -> Result<Option<Vec<DeadLetter>>, Error> {
        let most = u16::try_from(self.left.min(PAGE)).unwrap_or(0);
        if most == 0 {
            return Ok(None);
        }
        let letters = queue.dead_letters(self.after.as_deref(), most).await?;
        let Some(last) = letters.last() else { return Ok(None) };
        self.after = Some(last.id.clone());
        self.left -= letters.len() as u64;
        Ok(Some(letters))
    }
}
