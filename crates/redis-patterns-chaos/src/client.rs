//! What the clients of a worker share, and the record of each call.

use crate::orders::Orders;
use redis_patterns_core::{Executed, Namespace, Redis};
use redis_patterns_testkit::faults::history::History;
use redis_patterns_testkit::faults::hostile;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How far a worker is told to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Work,
    /// Make nothing new; finish what is there.
    Quiet,
    Stop,
}

/// The ground of one worker process.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) orders: Arc<Orders>,
    pub(crate) redis: Redis,
    pub(crate) history: History,
    phase: Arc<AtomicU8>,
    hostile: Arc<Vec<Vec<u8>>>,
}

impl Context {
    pub(crate) async fn connect(
        orders: Orders,
        history: History,
    ) -> Result<Self, redis_patterns_core::Error> {
        let redis = Redis::builder(&orders.url)
            .namespace(Namespace::new(&orders.namespace)?)
            .command_deadline(orders.deadline())
            .connect_deadline(Duration::from_secs(20));
        let redis = Box::pin(redis.connect()).await?;
        let hostile = if orders.hostile { hostile::small_ids() } else { Vec::new() };
        Ok(Self {
            orders: Arc::new(orders),
            redis,
            history,
            phase: Arc::default(),
            hostile: Arc::new(hostile),
        })
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Whether the worker is no further than this.
    pub(crate) fn until(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::SeqCst) <= phase as u8
    }

    /// The id for a label: the label itself, or a hostile one that holds it.
    pub(crate) fn id(&self, label: &str) -> Vec<u8> {
        let sum = label.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte));
        match self.hostile.get(sum % self.hostile.len().max(1)) {
            None => label.as_bytes().to_vec(),
            Some(id) if sum.is_multiple_of(2) => [id, label.as_bytes()].concat(),
            Some(id) => [label.as_bytes(), id].concat(),
        }
    }

    /// The record of one client, which does one thing at a time.
    pub(crate) fn client(&self, task: u64) -> Client {
        let number = self.orders.number * 64 + task;
        let dice = fastrand::Rng::with_seed(self.orders.seed ^ number);
        Client { history: self.history.clone(), number, dice, dropping: self.orders.dropping }
    }
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    history: History,
    number: u64,
    pub(crate) dice: fastrand::Rng,
    dropping: bool,
}

impl Client {
    /// Does what it is given and records it; `None` if it failed or was dropped half way.
    pub(crate) async fn call<T, E: Failed>(
        &mut self,
        op: &str,
        value: &str,
        work: impl Future<Output = Result<T, E>>,
        say: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let dropped = (self.dropping && self.dice.u8(..4) == 0).then(|| self.dice.u64(..2_000));
        let call = self.history.invoke(self.number, op, value);
        // Boxed: the client's futures nest deeper than the compiler's limit for one type.
        let work = Box::pin(work);
        let done = match dropped {
            None => work.await,
            Some(micros) => match tokio::time::timeout(Duration::from_micros(micros), work).await {
                Ok(done) => done,
                Err(_) => {
                    call.info("dropped");
                    return None;
                }
            },
        };
        match done {
            Ok(value) => {
                call.ok(&say(&value));
                Some(value)
            }
            Err(error) if error.executed() == Executed::No => {
                call.fail(&error.text());
                None
            }
            Err(error) => {
                call.info(&error.text());
                None
            }
        }
    }

    /// Records something that happens at this moment.
    pub(crate) fn note(&self, op: &str, value: &str) {
        self.history.invoke(self.number, op, value).ok("");
    }

    /// A little time between two calls, so that a machine of two cores has some for the server.
    pub(crate) async fn breathe(&mut self) {
        tokio::time::sleep(Duration::from_micros(self.dice.u64(200..1_500))).await;
    }
}

/// An error that says whether its call may have been applied.
pub(crate) trait Failed {
    fn executed(&self) -> Executed;
    fn text(&self) -> String;
}

impl Failed for redis_patterns_core::Error {
    fn executed(&self) -> Executed {
        redis_patterns_core::Error::executed(self)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Failed for io::Error {
    fn executed(&self) -> Executed {
        Executed::Maybe
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

/// Each crate wraps the core's error; what it adds are refusals before anything was written.
macro_rules! failed {
    ($($krate:ident $(: $maybe:pat)?,)+) => {$(
        impl Failed for $krate::Error {
            fn executed(&self) -> Executed {
                match self {
                    Self::Redis(error) => error.executed(),
                    $($maybe => Executed::Maybe,)?
                    _ => Executed::No,
                }
            }

            fn text(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

failed! {
    redis_ratelimit,
    redis_lock: Self::TooFewReplicas { .. },
    redis_idem: Self::Durable(_),
    redis_session: Self::Recorder(_),
    redis_queue: Self::Ended,
}
