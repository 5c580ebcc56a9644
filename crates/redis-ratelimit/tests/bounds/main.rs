//! The worst case of each policy, against an oracle that remembers every take and adds them up.
//!
//! Time is the test's: it stands still, creeps by microseconds and jumps to the edges of windows,
//! which is where limiters go wrong. `FixedWindow` from its first request goes by the TTL of its key, so
//! there the test cuts the TTL instead of moving a clock.

#[path = "../common/mod.rs"]
mod common;
mod first_hit;
mod mixed;
mod oracle;
mod sliding;
mod windows;
