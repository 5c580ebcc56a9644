//! What happens around a handler: its time limit, and for the jobs that ask for it their deadline,
//! their payload from aside, and the report of what came of them.

use crate::error::Error;
use crate::handler::{Handler, outcomes};
use crate::job::Job;
use crate::options::WorkerOptions;
use crate::outcome::Outcome;
use crate::queue::Queue;
use crate::scripts::State;
use redis_patterns_core::telemetry::TARGET;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A handler that gets only jobs that may run, whole, for as long as they may.
pub(crate) struct Prepared<H> {
    queue: Queue,
    handler: H,
    timeout: Option<Duration>,
    max_failures: u32,
}

impl<H: Handler> Handler for Prepared<H> {
    fn batch(&self) -> NonZeroUsize {
        self.handler.batch()
    }

    async fn handle(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        if jobs.iter().all(|job| job.header().is_plain()) {
            return self.run(jobs).await;
        }
        let mut runs = Vec::with_capacity(jobs.len());
        for job in &jobs {
            runs.push(self.ready(job).await);
        }
        let ready = runs.iter().filter_map(|run| run.as_ref().ok()).cloned().collect();
        let mut handled = self.until_the_last(ready).await.into_iter();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for (job, run) in jobs.iter().zip(runs) {
            let outcome = match run {
                // There is one outcome for each job that was ready.
                Ok(_) => handled.next().unwrap_or(Outcome::Done),
                Err(instead) => instead,
            };
            outcomes.push(self.reported(job, outcome).await);
        }
        outcomes
    }
}

impl<H: Handler> Prepared<H> {
    pub(crate) fn new(queue: Queue, options: &WorkerOptions, handler: H) -> Self {
        Self { queue, handler, timeout: options.timeout, max_failures: options.max_failures }
    }

    async fn run(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let count = jobs.len();
        outcomes(self.handler.handle(jobs), count, self.timeout).await
    }

    /// The job with its payload, or what becomes of it instead of a run.
    async fn ready(&self, job: &Job) -> Result<Job, Outcome> {
        let unknown =
            |error: Error| Outcome::Retry { reason: format!("the job could not be prepared: {error}") };
        if self.queue.time_left(job).await.map_err(unknown)?.is_some_and(|left| left.is_zero()) {
            return Err(Outcome::Dead { reason: "not started by its deadline".to_owned() });
        }
        match self.queue.payload(job).await.map_err(unknown)? {
            Some(payload) => Ok(job.with_payload(payload)),
            None => Err(Outcome::Dead { reason: "its payload, which was kept aside, is gone".to_owned() }),
        }
    }

    /// Runs the handler until the last deadline of its jobs, if each has one.
    async fn until_the_last(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let (count, mut last) = (jobs.len(), Some(Duration::ZERO));
        if count == 0 {
            return Vec::new();
        }
        for job in &jobs {
            // The time is known since the jobs were made ready.
            let left = self.queue.time_left(job).await.ok().flatten();
            last = last.zip(left).map(|(last, left)| last.max(left));
        }
        let Some(last) = last else { return self.run(jobs).await };
        tokio::time::timeout(last, self.run(jobs))
            .await
            .unwrap_or_else(|_| vec![Outcome::Dead { reason: "not done by its deadline".to_owned() }; count])
    }

    /// Tells whoever asked for it. A result that cannot be kept is none: the job runs again.
    async fn reported(&self, job: &Job, outcome: Outcome) -> Outcome {
        if job.header().keep_result().is_none() {
            return outcome;
        }
        let last = job.failures() + 1 >= self.max_failures;
        let (state, value) = match &outcome {
            Outcome::Done => (State::Done, &[][..]),
            Outcome::DoneWith { result } => (State::Done, &result[..]),
            Outcome::Dead { reason } => (State::Dead, reason.as_bytes()),
            Outcome::Retry { reason } | Outcome::RetryIn { reason, .. } if last => {
                (State::Dead, reason.as_bytes())
            }
            Outcome::Retry { .. } | Outcome::RetryIn { .. } => return outcome,
        };
        match self.queue.report(job, state, value).await {
            Ok(_) => outcome,
            Err(error) if state == State::Done => {
                Outcome::Retry { reason: format!("the result could not be kept: {error}") }
            }
            Err(error) => {
                tracing::warn!(target: TARGET, %error, "nobody could be told that a job was given up");
                outcome
            }
        }
    }
}
