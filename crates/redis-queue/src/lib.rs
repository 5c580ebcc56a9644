#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod aside;
#[cfg(feature = "cron")]
mod cron;
mod envelope;
mod error;
mod handler;
mod inspect;
mod job;
mod keys;
mod new_job;
mod options;
mod outcome;
mod prepare;
mod push;
mod queue;
mod reader;
mod reap;
mod report;
mod scripts;
#[cfg(feature = "tower")]
mod service;
mod sharded;
pub mod telemetry;
mod time;
mod trace;
mod worker;

pub use aside::{BlobError, BlobStore};
#[cfg(feature = "cron")]
#[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
pub use cron::{Cron, Missed, Schedule};
pub use error::Error;
pub use inspect::{DeadLetter, QueueStats, WorkerStats};
pub use job::{Job, JobId};
pub use new_job::NewJob;
pub use options::{QueueOptions, WorkerOptions};
pub use outcome::{IntoOutcome, Outcome, Pushed, Settled};
pub use queue::Queue;
pub use reader::{HeldJob, Reader, ReaderStats};
pub use reap::Reaped;
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Backoff, Namespace, Redis};
pub use report::Report;
pub use sharded::{ShardedQueue, ShardedWorker};
pub use trace::{InvalidTraceParent, TraceParent};
pub use worker::{Stopped, Worker};
