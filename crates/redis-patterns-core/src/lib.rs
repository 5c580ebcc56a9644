//! The shared ground.
