#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod doctor;
mod info;
mod judge;
mod keyspace;
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
mod topology;
mod vitals;

pub use doctor::Doctor;
pub use options::{DoctorOptions, Pattern};
#[cfg(feature = "queue")]
pub use report::QueueFacts;
pub use report::{Cost, Counted, Finding, Report, Server, Severity};
pub use signal::{SIGNALS, Signal};

/// The names that the calls above take and answer.
pub use redis_patterns_core::{Error, Namespace};
