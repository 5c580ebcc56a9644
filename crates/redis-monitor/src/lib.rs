#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod doctor;
mod info;
mod judge;
mod keyspace;
#[cfg(feature = "lock")]
mod locks;
mod node;
mod options;
mod prometheus;
#[cfg(feature = "queue")]
mod queues;
mod report;
mod rights;
mod sample;
mod signal;
mod slow;
#[cfg(any(feature = "lock", feature = "queue"))]
mod tag;
mod topology;
mod vitals;

pub use doctor::Doctor;
pub use options::{DoctorOptions, Pattern};
#[cfg(feature = "lock")]
pub use report::LockFacts;
pub use report::{Cost, Counted, Finding, Report, Server, Severity};
#[cfg(feature = "queue")]
pub use report::{QueueFacts, WorkerFacts};
pub use signal::{SIGNALS, Signal};

/// The names that the calls above take and answer.
pub use redis_patterns_core::{Error, Namespace};
