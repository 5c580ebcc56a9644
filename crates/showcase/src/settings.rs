//! Every number of the demo. Leases are short so that a recovery can be watched; what a real
//! service would rather use is the default of each crate.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// Orders that one user may send in one [`PERIOD`].
pub(crate) const LIMIT: NonZeroU64 = NonZeroU64::new(20).unwrap();
/// Longer than a whole run, so that no act meets the start of a second window.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// A session that is not used for so long ends.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(300);

/// How long a request under way is believed alive: above what [`PAYMENT`] and a push take.
pub(crate) const CLAIM_LEASE: Duration = Duration::from_secs(3);
/// How long an answer is kept for retries.
pub(crate) const CLAIM_RETENTION: Duration = Duration::from_secs(300);
/// What stands for the slow part of placing an order; double submits meet in it.
pub(crate) const PAYMENT: Duration = Duration::from_millis(150);

/// How long the stock of an item stays locked for a holder that says nothing more.
pub(crate) const LOCK_LEASE: Duration = Duration::from_secs(1);
/// How long fences are remembered.
pub(crate) const FENCE_MEMORY: Duration = Duration::from_secs(300);

/// The queue of accepted orders.
pub(crate) const QUEUE: &str = "fulfil";
/// The most orders that may wait; past it the service answers 503.
pub(crate) const QUEUE_MAX: NonZeroU64 = NonZeroU64::new(1_000).unwrap();
/// How long a worker may be silent before its jobs go to another.
pub(crate) const WORKER_LEASE: Duration = Duration::from_secs(2);
/// How long one wait for a job takes at most.
pub(crate) const WORKER_BLOCK: Duration = Duration::from_millis(500);
/// Jobs that one worker runs at once.
pub(crate) const WORKER_JOBS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// Worker processes.
pub(crate) const WORKERS: usize = 2;

/// Far above what a call takes on a machine that does other things too.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(3);
/// The longest wait for anything that must happen in an act.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How many pieces of each item there are at the start.
pub(crate) const INITIAL: i64 = 1_000;
/// What most users order.
pub(crate) const TEA: &str = "tea";
/// A worker with the habit stalls on it before it writes, its lock still held.
pub(crate) const SOFA: &str = "sofa";
/// A worker with the habit stalls on it after it wrote, before the queue hears of it.
pub(crate) const LAMP: &str = "lamp";
/// Its lock is held by somebody who is paused.
pub(crate) const CHAIR: &str = "chair";
/// All there is.
pub(crate) const ITEMS: [&str; 4] = [TEA, SOFA, LAMP, CHAIR];
