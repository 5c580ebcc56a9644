#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod claim;
mod downstream;
mod durable;
mod error;
mod fence;
mod guard;
mod hold;
mod inbox;
mod inspection;
mod janitor;
mod keys;
mod locks;
mod multi;
mod native;
mod options;
mod pending;
mod quorum;
mod rw_lock;
mod scripts;
mod semaphore;
#[cfg(feature = "sqlx")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlx")))]
pub mod sql;
mod telemetry;
mod waiting;
mod watchdog;

pub use downstream::{FenceStore, FencedRegister, SealError, Verdict};
pub use durable::Durability;
pub use error::{Error, Lost};
pub use fence::FencingToken;
pub use guard::{LockGuard, Released};
pub use hold::Hold;
pub use inspection::{Forced, Holder, Inspection, Revocation};
pub use locks::{Locks, TryLock};
pub use multi::MultiGuard;
pub use options::LockOptions;
pub use quorum::{Quorum, QuorumGuard};
/// The handle and the names that the calls above take.
pub use redis_patterns_core::{Namespace, Redis};
pub use rw_lock::RwLock;
pub use semaphore::Semaphore;
