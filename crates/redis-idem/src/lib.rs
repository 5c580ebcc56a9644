#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod begin;
mod claim;
mod error;
mod fingerprint;
mod idempotency;
mod keys;
mod options;
mod record;
mod resend;
mod scope;
mod scripts;

pub use begin::Begin;
pub use claim::{Claim, Completion, Release};
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use idempotency::Idempotency;
pub use options::Options;
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Namespace, Redis};
pub use scope::Scope;
