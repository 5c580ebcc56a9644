#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod ask;
mod audit;
mod begin;
mod claim;
mod durable;
mod error;
mod fingerprint;
mod hold;
#[cfg(feature = "tower")]
pub mod http;
mod idempotency;
mod keys;
mod options;
mod payload;
mod record;
mod run;
mod scope;
mod scripts;
#[cfg(feature = "sqlx")]
pub mod sql;
mod takeover;
pub mod telemetry;
mod wait;

pub use audit::{AuditEvent, AuditTrail};
pub use begin::Begin;
pub use claim::{Claim, Completion, Release};
pub use durable::{Author, DurableStore, Kept};
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use hold::{Heartbeat, Loss};
pub use idempotency::{Idempotency, Resolution, Resolved};
pub use options::Options;
/// The keys for [`Options::encrypted`].
#[cfg(feature = "encrypt")]
pub use redis_patterns_core::Keyring;
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Namespace, Redis};
pub use run::{Attempt, Ending, Run};
pub use scope::Scope;
pub use takeover::{Judge, Takeover, Verdict};
