//! Servers to test against and tools to break them. Not published.
//!
//! - [`servers`] finds a way to run Redis and starts it in the asked topology (std only).
//! - [`lua`] checks the text of the scripts (std only).
//! - [`harness`] hands each test a Redis handle with a namespace of its own (feature `harness`).
//! - [`faults`] breaks things: a proxy, worker processes, failovers, slot moves (feature `harness`).

pub mod lua;
pub mod servers;

#[cfg(feature = "harness")]
pub mod faults;
#[cfg(feature = "harness")]
pub mod harness;
