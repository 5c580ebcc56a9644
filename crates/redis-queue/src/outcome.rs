//! What the calls answer, and what a handler answers.

use crate::job::JobId;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// What became of a push. A full queue is an answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a full queue took nothing"]
#[non_exhaustive]
pub enum Pushed {
    /// The jobs wait now.
    Accepted {
        /// The names of the jobs, in the order they were given.
        ids: Vec<JobId>,
        /// How many jobs wait, these among them: the measure for back-pressure.
        depth: u64,
    },
    /// A job with the same key was pushed within its window; this one was not added.
    Duplicate {
        /// The name of that job, which may have run since.
        of: JobId,
        /// How many jobs wait.
        depth: u64,
    },
    /// The queue has no room for all of them; none was added.
    Full {
        /// How many jobs wait.
        depth: u64,
    },
}

impl Pushed {
    /// Whether the jobs wait now.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }

    /// How many jobs wait.
    #[must_use]
    pub fn depth(&self) -> u64 {
        match self {
            Self::Accepted { depth, .. } | Self::Duplicate { depth, .. } | Self::Full { depth } => *depth,
        }
    }
}

/// What became of a job that was acknowledged or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a job that was lost runs again elsewhere"]
#[non_exhaustive]
pub enum Settled {
    /// The job was still this reader's, and is done with.
    Done,
    /// The lease was over and the job went back to the queue: another worker runs it, or has.
    Lost,
}

impl Settled {
    /// Whether the job was still this reader's.
    #[must_use]
    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// What a handler says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done: it is removed.
    Done,
    /// It is done, and this came of it: kept for whoever asked with
    /// [`NewJob::keep_result`](crate::NewJob::keep_result), else dropped.
    DoneWith {
        /// What [`Queue::result`](crate::Queue::result) tells.
        result: Bytes,
    },
    /// It failed and should run again after a wait that grows with its failures; past the most
    /// failures it goes to the dead letters.
    Retry {
        /// Why. Kept with a dead letter: no secrets.
        reason: String,
    },
    /// It should run again after this wait, which counts as a failure.
    RetryIn {
        /// How long to wait.
        delay: Duration,
        /// Why. Kept with a dead letter: no secrets.
        reason: String,
    },
    /// It cannot succeed: it goes to the dead letters now.
    Dead {
        /// Why. Kept with the dead letter: no secrets.
        reason: String,
    },
}

/// What a handler may return: nothing, an [`Outcome`], or a `Result` of these whose error becomes
/// [`Outcome::Retry`].
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl<T: IntoOutcome, E: fmt::Display> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(outcome) => outcome.into_outcome(),
            Err(error) => Outcome::Retry { reason: error.to_string() },
        }
    }
}
