//! What a worker process is told on its command line.

use crate::pattern::Pattern;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Leases of locks, claims and jobs: the shortest that every pattern takes.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// The orders of one worker process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) pattern: Pattern,
    /// The wrong implementation to use in the pattern's place.
    pub(crate) control: Option<u8>,
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) history: PathBuf,
    /// `host:port` of the resource outside Redis.
    pub(crate) oracle: String,
    pub(crate) seed: u64,
    /// Of this process, also among those that replace a killed one.
    pub(crate) number: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) hostile: bool,
    pub(crate) dropping: bool,
    pub(crate) replicas: bool,
}

impl Orders {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// The same orders for another process.
    pub(crate) fn numbered(&self, number: u64) -> Self {
        Self {
            number,
            seed: self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            ..self.clone()
        }
    }
}
