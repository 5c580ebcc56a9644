#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod concurrency;
mod decision;
mod error;
mod gate;
#[cfg(feature = "tower")]
pub mod http;
mod keys;
mod limiter;
mod options;
mod reservation;
mod rules;
mod scripts;
mod slot;
pub mod telemetry;

pub use concurrency::{ConcurrencyLimiter, Entry};
pub use decision::{Decision, Degraded, Outcome, PolicyState, Source};
pub use error::Error;
pub use gate::{Gate, WhenDown};
pub use limiter::RateLimiter;
pub use options::{
    ApproximateWindow, Calendar, Concurrency, FixedWindow, Policy, SlidingLog, SlidingWindow, TokenBucket,
};
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Namespace, Redis};
pub use reservation::{Reservation, Reserved, Settled};
pub use slot::Slot;
