#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod envelope;
mod error;
mod handler;
mod inspect;
mod job;
mod keys;
mod options;
mod outcome;
mod queue;
mod reader;
mod reap;
mod scripts;
pub mod telemetry;
mod worker;

pub use error::Error;
pub use inspect::{DeadLetter, QueueStats, WorkerStats};
pub use job::{Job, JobId};
pub use options::{QueueOptions, WorkerOptions};
pub use outcome::{IntoOutcome, Outcome, Pushed, Settled};
pub use queue::Queue;
pub use reader::{HeldJob, Reader, ReaderStats};
pub use reap::Reaped;
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Backoff, Namespace, Redis};
pub use worker::{Stopped, Worker};
