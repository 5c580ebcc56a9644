//! The worst case of each policy, against an oracle that remembers every take and adds them up.
//!
//! Time is the test's: it stands still, creeps by microseconds and jumps to the edges of windows,
//! which is where limiters go wrong. (`FixedWindow` from its first request goes by the key's TTL: see
//! tests/model.rs.)

#[path = "../common/mod.rs"]
mod common;
mod mixed;
mod oracle;
mod sliding;
mod windows;
