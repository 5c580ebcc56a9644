//! Tools that break things, and the records that show what happened.
//!
//! - [`Proxy`] stands before one server and loses replies, cuts frames, stalls, refuses.
//! - [`process`] runs workers as processes, so that a kill is a kill; [`history`] records what they
//!   did.
//! - [`stats`] counts the commands a call cost; [`redis`] breaks the server itself, up to a
//!   half-moved slot.
//! - [`hostile`] is the corpus of ids that break naive key names.
//!
//! A fault that did not happen proves nothing: each one here has a count that moves when it does.
//! Assert it.
//!
//! Servers are named by `host:port` or by a `redis://[user:password@]host:port` URL; [`resp`] is
//! the small client that all of this uses, so that a fault in the client under test cannot hide
//! here.

pub mod history;
pub mod hostile;
pub mod process;
mod proxy;
pub mod redis;
pub mod resp;
pub mod stats;

pub use proxy::{Counts, Match, Proxy};
