//! Finds a way to run Redis and starts it in the asked topology. Std only, blocking, Unix only.
//!
//! Three layers, each usable alone:
//!
//! - [`start`], [`up`], [`down`], [`status`], [`available`]: what `xtask` calls.
//! - [`Standalone`], [`Replicated`], [`Sentinel`], [`Cluster`], `Tls` (feature `tls`) and
//!   [`Postgres`]: servers of one test, whose processes can be killed, stopped and continued.
//! - [`Launcher`]: how one server process comes to life here; [`resp::Conn`]: how it is asked.
//!
//! # Nothing stays behind
//!
//! Each group of servers has a guardian: a shell that holds the read end of a pipe whose write end
//! only this process has. However this process ends (drop, panic, Ctrl-C, `kill -9`), the kernel
//! closes the pipe, and the guardian kills its servers and removes their folder.
//!
//! ```no_run
//! use redis_patterns_testkit::servers::{Backend, ServerChoice, Topology, start};
//!
//! let running = start(Topology::Cluster, &ServerChoice::Auto, Backend::Auto)?;
//! println!("{} is at {}", running.describe(), running.url());
//! # Ok::<(), redis_patterns_testkit::servers::Error>(())
//! ```

pub mod resp;

mod choice;
mod cluster;
mod command;
mod compose;
mod debian;
mod docker;
mod error;
mod external;
mod find;
mod group;
mod guardian;
mod keep;
mod launcher;
mod node;
mod options;
mod paths;
mod ports;
mod postgres;
mod replicated;
mod running;
mod sentinel;
mod standalone;
#[cfg(feature = "tls")]
mod tls;
mod wait;

pub use choice::{Backend, ServerChoice, Topology};
pub use cluster::Cluster;
pub use error::Error;
pub use external::{connect, primaries};
pub use find::available;
pub use keep::{Status, down, status, up};
pub use launcher::{Flavour, Launcher};
pub use node::{Node, Role};
pub use options::Options;
pub use postgres::Postgres;
pub use replicated::Replicated;
pub use running::{Running, start};
pub use sentinel::Sentinel;
pub use standalone::Standalone;
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use wait::wait_until;
