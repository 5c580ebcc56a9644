//! What the doctor says.

use crate::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nothing has to be done today.
    Note,
    /// It will hurt: plan the change.
    Warning,
    /// A pattern's promise does not hold, or will not in a moment.
    Critical,
}

/// One thing that is not as it should be, on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The [name](crate::Signal::name) of the signal.
    pub signal: &'static str,
    /// Where: `host:port`.
    pub server: String,
    /// What was measured, in words.
    pub measured: String,
    /// What to do.
    pub advice: &'static str,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        signal: &Signal,
        server: &str,
        measured: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            signal: signal.name,
            server: server.to_owned(),
            measured: measured.into(),
            advice: signal.advice,
        }
    }
}

/// One server of the deployment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// Whether it answered.
    pub up: bool,
    /// `master` or `slave`, as the server calls it; empty if it did not answer.
    pub role: String,
    /// Make and version, such as `Redis 8.0.2 (standalone)`; empty if it did not answer.
    pub version: String,
    /// Measured values by their metric's name without `redis_doctor_`; a value that the server does
    /// not tell is absent.
    pub vitals: BTreeMap<&'static str, f64>,
}

/// How many keys of one kind there are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counted {
    /// The kind, such as `sessions`.
    pub kind: &'static str,
    /// How many the sample met.
    pub sampled: u64,
    /// How many there are by that share: exact if the sample met every key of the server.
    pub estimated: u64,
}

/// One queue.
#[cfg(feature = "queue")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct QueueFacts {
    /// Its name.
    pub name: String,
    /// Jobs that wait.
    pub pending: u64,
    /// Jobs that wait until they are due.
    pub delayed: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// The age of the next job in seconds.
    pub oldest_s: Option<u64>,
    /// Workers whose lease runs.
    pub workers: u64,
    /// Workers whose lease is over and whose jobs nobody took back yet.
    pub lapsed: u64,
    /// The lease of each worker, up to 1,000.
    pub leases: Vec<WorkerFacts>,
}

/// One worker of a queue.
#[cfg(feature = "queue")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WorkerFacts {
    /// The name of this incarnation: part of the name of its list.
    pub incarnation: String,
    /// What is left of its lease in seconds; `None` if it is over.
    pub lease_left_s: Option<u64>,
}

/// One lock that is held.
#[cfg(feature = "lock")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LockFacts {
    /// Its name.
    pub name: String,
    /// The fence of its holder.
    pub fence: u64,
    /// What the holder calls itself.
    pub label: Option<String>,
    /// For how many seconds it is held.
    pub held_s: u64,
    /// What is left of the lease in seconds.
    pub lease_left_s: u64,
    /// How many wait for it.
    pub waiting: u64,
}

/// What the examination itself cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Cost {
    /// Commands sent to all servers together.
    pub commands: u64,
    /// The time it took, with the interval between the samples.
    pub took: Duration,
}

/// One examination.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// The servers, in order of their addresses.
    pub servers: Vec<Server>,
    /// What is not as it should be, the worst first; empty for a healthy deployment.
    pub findings: Vec<Finding>,
    /// The keys of the patterns, by kind.
    pub keys: Vec<Counted>,
    /// The queues that were found or asked for.
    #[cfg(feature = "queue")]
    pub queues: Vec<QueueFacts>,
    /// Those of the locks among the sampled keys that are held, up to 50.
    #[cfg(feature = "lock")]
    pub locks: Vec<LockFacts>,
    /// What it cost.
    pub cost: Cost,
}

impl Report {
    /// The severity of the worst finding; `None` for a healthy deployment.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// The findings of one signal.
    pub fn of<'a>(&'a self, signal: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |finding| finding.signal == signal)
    }
}
