//! What the environment of a test run asks for.

use std::str::FromStr;

use crate::servers::{Backend, Error, ServerChoice, Topology};

/// `REDIS_PATTERNS_BACKEND`.
pub(super) fn backend() -> Result<Backend, Error> {
    parsed("REDIS_PATTERNS_BACKEND")
}

/// `REDIS_PATTERNS_SERVER`.
pub(super) fn choice() -> Result<ServerChoice, Error> {
    parsed("REDIS_PATTERNS_SERVER")
}

/// The server that runs already for this topology.
pub(super) fn url(topology: Topology) -> Option<String> {
    std::env::var(match topology {
        Topology::Standalone => "REDIS_PATTERNS_STANDALONE_URL",
        Topology::Cluster => "REDIS_PATTERNS_CLUSTER_URL",
    })
    .ok()
}

/// Why this topology is left out of this run, if it is.
pub(super) fn left_out(topology: Topology) -> Option<String> {
    let wanted = std::env::var("REDIS_PATTERNS_TOPOLOGY").ok()?;
    let included = wanted == "all" || wanted == topology.to_string();
    (!included).then(|| format!("REDIS_PATTERNS_TOPOLOGY={wanted} leaves {topology} out"))
}

fn parsed<T: FromStr<Err = Error> + Default>(name: &str) -> Result<T, Error> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|e: Error| Error::unusable(format!("{name}: {e}"), "correct it")),
        Err(_) => Ok(T::default()),
    }
}
