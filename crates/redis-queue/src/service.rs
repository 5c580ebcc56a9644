//! Handlers that are tower services.

use crate::error::Error;
use crate::job::Job;
use crate::options::WorkerOptions;
use crate::outcome::{IntoOutcome, Outcome};
use crate::queue::Queue;
use crate::worker::Worker;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use tower_service::Service;

impl Queue {
    /// Runs a tower service for each job; otherwise as [`Queue::run`]. So limits, time-outs and
    /// tracing come as layers.
    ///
    /// Each job is given to a clone of the service once that is ready; the job's lease runs while it
    /// waits for that. The response is the outcome, an error is [`Outcome::Retry`].
    ///
    /// # Errors
    ///
    /// As [`Queue::reader`].
    ///
    /// # Cancel safety
    ///
    /// As [`Queue::reader`].
    #[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
    pub async fn run_service<S>(&self, options: WorkerOptions, service: S) -> Result<Worker, Error>
    where
        S: Service<Job> + Clone + Send + 'static,
        S::Future: Send,
        S::Response: IntoOutcome,
        S::Error: fmt::Display,
    {
        // Not every service can be shared between threads; each can be cloned.
        let service = Mutex::new(service);
        self.run(options, move |job| {
            let service = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
            call(service, job)
        })
        .await
    }
}

async fn call<S>(mut service: S, job: Job) -> Outcome
where
    S: Service<Job>,
    S::Response: IntoOutcome,
    S::Error: fmt::Display,
{
    let failed = |error: S::Error| Outcome::Retry { reason: error.to_string() };
    if let Err(error) = poll_fn(|context| service.poll_ready(context)).await {
        return failed(error);
    }
    let called = service.call(job);
    called.await.map_or_else(failed, IntoOutcome::into_outcome)
}
