//! What happens around a handler for the jobs that ask for it: their deadline.

use crate::handler::Handler;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::queue::Queue;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A handler that gets only jobs that may run, for as long as they may.
pub(crate) struct Prepared<H> {
    pub(crate) queue: Queue,
    pub(crate) handler: H,
}

impl<H: Handler> Handler for Prepared<H> {
    fn batch(&self) -> NonZeroUsize {
        self.handler.batch()
    }

    async fn handle(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        if jobs.iter().all(|job| job.header().deadline_ms == 0) {
            return self.handler.handle(jobs).await;
        }
        let count = jobs.len();
        match self.queue.time.now_ms(&self.queue.redis, &self.queue.keys).await {
            Ok(now_ms) => self.in_time(jobs, now_ms).await,
            Err(error) => {
                let reason = format!("the time could not be asked for: {error}");
                vec![Outcome::Retry { reason }; count]
            }
        }
    }
}

impl<H: Handler> Prepared<H> {
    /// Buries what is too late, and runs the handler for the others.
    async fn in_time(&self, jobs: Vec<Job>, now_ms: u64) -> Vec<Outcome> {
        let late: Vec<bool> =
            jobs.iter().map(|job| left(job, now_ms).is_some_and(|left| left.is_zero())).collect();
        let run: Vec<Job> =
            jobs.into_iter().zip(&late).filter(|(_, late)| !**late).map(|(job, _)| job).collect();
        let mut handled = self.until_the_last(run, now_ms).await.into_iter();
        let unheard = || Outcome::Retry { reason: "the handler gave no outcome for this job".to_owned() };
        let outcome = |late: bool| match late {
            true => Outcome::Dead { reason: "not started by its deadline".to_owned() },
            false => handled.next().unwrap_or_else(unheard),
        };
        late.into_iter().map(outcome).collect()
    }

    /// Runs the handler until the last deadline of its jobs, if each has one.
    async fn until_the_last(&self, jobs: Vec<Job>, now_ms: u64) -> Vec<Outcome> {
        let count = jobs.len();
        let last = jobs.iter().map(|job| left(job, now_ms)).collect::<Option<Vec<_>>>();
        let handled = async {
            match count {
                0 => Vec::new(),
                _ => self.handler.handle(jobs).await,
            }
        };
        match last.into_iter().flatten().max() {
            None => handled.await,
            Some(last) => tokio::time::timeout(last, handled).await.unwrap_or_else(|_| {
                vec![Outcome::Dead { reason: "not done by its deadline".to_owned() }; count]
            }),
        }
    }
}

/// How long a job may still run; `None` = for ever.
fn left(job: &Job, now_ms: u64) -> Option<Duration> {
    let deadline_ms = job.header().deadline_ms;
    (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms.saturating_sub(now_ms)))
}
