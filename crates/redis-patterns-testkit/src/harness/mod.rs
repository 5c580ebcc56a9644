//! A Redis handle for each test, with keys of its own that are gone afterwards.
//!
//! ```no_run
//! mod tests {
//!     use redis_patterns_testkit::{harness::TestRedis, on_every_topology};
//!
//!     on_every_topology! {
//!         /// Runs as `counts_once::standalone` and `counts_once::cluster`.
//!         async fn counts_once(t: TestRedis) {
//!             // a pattern over t.redis
//!             assert_eq!(t.keys().await.len(), 0);
//!         }
//!     }
//! }
//! ```
//!
//! # Which server
//!
//! `REDIS_PATTERNS_STANDALONE_URL` and `REDIS_PATTERNS_CLUSTER_URL` name the servers, as `cargo
//! xtask test` sets them. Without them each test process starts its own at the first test that
//! needs it, by `REDIS_PATTERNS_BACKEND` and `REDIS_PATTERNS_SERVER` (both `auto` unless set).
//! `REDIS_PATTERNS_TOPOLOGY` (`standalone`, `cluster`, `all`) leaves topologies out.
//!
//! # No silent pass
//!
//! A test that does not run says so with its reason on standard error and as a line in the file
//! that `REDIS_PATTERNS_SKIP_LOG` names. A server that cannot be had is a failure.

#[cfg(feature = "containers")]
pub mod container;
mod environment;
mod eventually;
mod every_topology;
pub mod own;
mod shared;
mod skip;
mod spread;
mod test_redis;

pub use eventually::eventually;
pub use every_topology::{Outcome, run};
pub use skip::skip;
pub use spread::spread;
pub use test_redis::TestRedis;
