#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod decision;
mod error;
mod gate;
#[cfg(feature = "tower")]
pub mod http;
mod keys;
mod limiter;
mod options;
mod scripts;
pub mod telemetry;

pub use decision::{Decision, Degraded, Outcome, PolicyState, Source};
pub use error::Error;
pub use gate::{Gate, WhenDown};
pub use limiter::RateLimiter;
pub use options::{FixedWindow, Policy, SlidingLog, SlidingWindow, TokenBucket};
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Namespace, Redis};
