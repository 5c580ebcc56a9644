//! One logical queue over several tags, so that a cluster's servers share it.

use crate::error::Error;
use crate::job::Job;
use crate::new_job::NewJob;
use crate::options::{QueueOptions, WorkerOptions};
use crate::outcome::{IntoOutcome, Pushed};
use crate::queue::Queue;
use crate::worker::{Stopped, Worker};
use redis_patterns_core::{FieldHasher, Redis};
use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A queue of several shards; cheap to clone. Shard `i` of `orders` is the [`Queue`] named `orders:i`,
/// with every promise of one.
///
/// Jobs of different shards overtake each other. What must stay in order, or meet its twin, goes to
/// the shard of a key: [`ShardedQueue::for_key`].
///
/// # How many
///
/// About as many as the cluster has primaries, or twice that: each worker has a connection and
/// heartbeats of its own for each shard. Who changes the number must have workers read the shards that fall away
/// until they are empty; the shards of keys change with it.
#[derive(Clone, Debug)]
pub struct ShardedQueue {
    shards: Arc<[Shard]>,
    next: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Shard {
    queue: Queue,
    /// How many jobs waited when a push last told.
    depth: AtomicU64,
}

impl ShardedQueue {
    /// The queue of this name (any bytes) over so many shards, with the defaults of [`QueueOptions`].
    #[must_use]
    pub fn new(redis: Redis, name: impl AsRef<[u8]>, shards: NonZeroU16) -> Self {
        Self::with_options(redis, name, shards, &QueueOptions::default())
    }

    /// The queue of this name (any bytes) over so many shards. What the options bound, such as
    /// [`max_len`](QueueOptions::max_len), they bound for each shard.
    #[must_use]
    pub fn with_options(
        redis: Redis,
        name: impl AsRef<[u8]>,
        shards: NonZeroU16,
        options: &QueueOptions,
    ) -> Self {
        let shard = |number: u16| {
            let name = [name.as_ref(), format!(":{number}").as_bytes()].concat();
            let queue = Queue::with_options(redis.clone(), name, options.clone());
            Shard { queue, depth: AtomicU64::new(0) }
        };
        Self { shards: (0..shards.get()).map(shard).collect(), next: Arc::default() }
    }

    /// The shards, for what concerns each of them: counts, dead letters, schedules.
    #[must_use]
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &Queue> {
        self.shards.iter().map(|shard| &shard.queue)
    }

    /// The shard of a key (any bytes): jobs that are pushed there under one key run in order, are
    /// unique among each other, and can be asked for their result.
    #[must_use]
    pub fn for_key(&self, key: impl AsRef<[u8]>) -> &Queue {
        let digest = FieldHasher::new("queue/shard").field(key.as_ref()).finish().to_hex();
        let number = u64::from_str_radix(&digest[..16], 16).unwrap_or(0) % self.shards.len() as u64;
        &self.shards[usize::try_from(number).unwrap_or(0)].queue
    }

    /// Adds one job to one of the shards. One round trip, and one more for each shard that is full.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push`].
    ///
    /// # If the reply is lost
    ///
    /// As [`Queue::push`]; a second push may go to another shard.
    pub async fn push(&self, job: impl Into<NewJob>) -> Result<Pushed, Error> {
        self.push_many([job]).await
    }

    /// Adds up to 1,000 jobs to one of the shards, all or none, the first to run first. Otherwise as
    /// [`ShardedQueue::push`].
    ///
    /// Of two shards, in turn, it takes the one that had fewer jobs when this process last heard.
    /// [`Pushed::Full`] if none has room.
    ///
    /// # Errors
    ///
    /// As [`Queue::push_many`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::push_many`].
    ///
    /// # If the reply is lost
    ///
    /// As [`ShardedQueue::push`].
    pub async fn push_many<J: Into<NewJob>>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<Pushed, Error> {
        let jobs: Vec<NewJob> = jobs.into_iter().map(Into::into).collect();
        let first = self.emptier();
        let mut answer = self.push_to(first, jobs.clone()).await?;
        for step in 1..self.shards.len() {
            if !matches!(answer, Pushed::Full { .. }) {
                break;
            }
            answer = self.push_to((first + step) % self.shards.len(), jobs.clone()).await?;
        }
        Ok(answer)
    }

    /// Of the next two shards in turn the one with fewer jobs. What was heard of the other counts half
    /// from now, so that it is asked again before long.
    fn emptier(&self) -> usize {
        let count = self.shards.len();
        let one = self.next.fetch_add(1, Ordering::Relaxed) % count;
        // Far from the first, so that each meets many others.
        let other = (one + count.div_ceil(2)) % count;
        let depth = |shard: usize| self.shards[shard].depth.load(Ordering::Relaxed);
        let (taken, left) = if depth(other) < depth(one) { (other, one) } else { (one, other) };
        self.shards[left].depth.store(depth(left) / 2, Ordering::Relaxed);
        taken
    }

    async fn push_to(&self, shard: usize, jobs: Vec<NewJob>) -> Result<Pushed, Error> {
        let shard = &self.shards[shard];
        let answer = shard.queue.push_many(jobs).await?;
        shard.depth.store(answer.depth(), Ordering::Relaxed);
        Ok(answer)
    }

    /// How many jobs wait in all shards, one after the other. One round trip for each.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn depth(&self) -> Result<u64, Error> {
        let mut sum = 0;
        for queue in self.shards() {
            sum += queue.depth().await?;
        }
        Ok(sum)
    }

    /// Runs `handler` for the jobs of every shard until the [`ShardedWorker`] is stopped; otherwise as
    /// [`Queue::run`].
    ///
    /// Each shard has an equal part of [`concurrency`](WorkerOptions::concurrency), at least one: a
    /// shard that is deep or stuck takes nothing from the others. Since every worker reads every
    /// shard, one that comes or goes changes all of them alike, and there is nothing to assign anew.
    ///
    /// # Errors
    ///
    /// As [`Queue::run`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::run`].
    pub async fn run<H, F, O>(&self, options: WorkerOptions, handler: H) -> Result<ShardedWorker, Error>
    where
        H: Fn(Job) -> F + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: IntoOutcome + 'static,
    {
        let (handler, shards) = (Arc::new(handler), self.shards.len());
        let mut workers = Vec::with_capacity(shards);
        for (number, queue) in self.shards().enumerate() {
            // What does not divide goes to the first.
            let part = options.concurrency / shards + usize::from(number < options.concurrency % shards);
            let options = options.clone().concurrency(NonZeroUsize::new(part).unwrap_or(NonZeroUsize::MIN));
            let handler = handler.clone();
            workers.push(queue.run(options, move |job| handler(job)).await?);
        }
        Ok(ShardedWorker(workers))
    }
}

/// A running worker of all shards, from [`ShardedQueue::run`]. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct ShardedWorker(Vec<Worker>);

impl ShardedWorker {
    /// Stops at every shard at once; otherwise as [`Worker::stop`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stop goes on.
    pub async fn stop(self) -> Stopped {
        let stopping: Vec<_> = self.0.into_iter().map(|worker| tokio::spawn(worker.stop())).collect();
        let mut sum = Stopped::default();
        for one in stopping {
            let one = one.await.unwrap_or_default();
            sum.done += one.done;
            sum.failed += one.failed;
            sum.handed_back += one.handed_back;
            sum.lost += one.lost;
        }
        sum
    }
}
