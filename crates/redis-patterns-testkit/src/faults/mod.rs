//! Tools that break things.
