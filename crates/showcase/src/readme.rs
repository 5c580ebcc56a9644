//! The example of the workspace's README, compiled with the documentation tests.
#![doc = include_str!("../../../README.md")]
