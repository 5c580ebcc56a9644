//! What a worker calls, and what becomes of panics and time-outs.

use crate::job::Job;
use crate::outcome::{IntoOutcome, Outcome};
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Handles up to `batch` jobs in one run; one outcome per job, in their order.
pub(crate) trait Handler: Send + Sync + 'static {
    fn batch(&self) -> NonZeroUsize;
    fn handle(&self, jobs: Vec<Job>) -> impl Future<Output = Vec<Outcome>> + Send;
}

/// A handler of one job at a time.
pub(crate) struct Single<H>(pub(crate) H);

impl<H, F, O> Handler for Single<H>
where
    H: Fn(Job) -> F + Send + Sync + 'static,
    F: Future<Output = O> + Send + 'static,
    O: IntoOutcome + 'static,
{
    fn batch(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    async fn handle(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push((self.0)(job).await.into_outcome());
        }
        outcomes
    }
}

/// A handler of several jobs together.
pub(crate) struct Batches<H> {
    pub(crate) batch: NonZeroUsize,
    pub(crate) handler: H,
}

impl<H, F, O> Handler for Batches<H>
where
    H: Fn(Vec<Job>) -> F + Send + Sync + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
    O: IntoOutcome + 'static,
{
    fn batch(&self) -> NonZeroUsize {
        self.batch
    }

    async fn handle(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        (self.handler)(jobs).await.into_iter().map(IntoOutcome::into_outcome).collect()
    }
}

/// What the handler says of each of `count` jobs; if it says nothing of one, panics or takes too
/// long, that is a failure.
pub(crate) async fn outcomes(
    handled: impl Future<Output = Vec<Outcome>>,
    count: usize,
    timeout: Option<Duration>,
) -> Vec<Outcome> {
    let mut outcomes = match in_time(timeout, caught(handled)).await {
        Ok(outcomes) => outcomes,
        Err(reason) => vec![Outcome::Retry { reason }; count],
    };
    outcomes.resize(count, Outcome::Retry { reason: "the handler gave no outcome for this job".to_owned() });
    outcomes
}

async fn in_time<T>(
    timeout: Option<Duration>,
    handled: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let Some(timeout) = timeout else { return handled.await };
    let late = |_| Err(format!("the handler took longer than {timeout:?}"));
    tokio::time::timeout(timeout, handled).await.unwrap_or_else(late)
}

async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(outcome)) => Poll::Ready(Ok(outcome)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err("the handler panicked".to_owned())),
    })
    .await
}
