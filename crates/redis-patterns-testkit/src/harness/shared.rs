//! One server of each topology for all tests of a process.

use std::sync::OnceLock;

use super::environment;
use crate::servers::{Running, ServerChoice, Topology, start};

/// The servers of this process. Never dropped: their guardian ends them with the process.
static STANDALONE: OnceLock<Result<Shared, String>> = OnceLock::new();
static CLUSTER: OnceLock<Result<Shared, String>> = OnceLock::new();

#[derive(Debug)]
struct Shared {
    url: String,
    _running: Running,
}

/// The URL of the server for this topology; blocks while it is started.
pub(super) fn url(topology: Topology) -> Result<&'static str, String> {
    let cell = match topology {
        Topology::Standalone => &STANDALONE,
        Topology::Cluster => &CLUSTER,
    };
    let shared = cell.get_or_init(|| take(topology));
    shared.as_ref().map(|shared| shared.url.as_str()).map_err(Clone::clone)
}

fn take(topology: Topology) -> Result<Shared, String> {
    let given = environment::url(topology).map(ServerChoice::Url);
    let choice = given.map_or_else(environment::choice, Ok).map_err(|e| e.to_string())?;
    let backend = environment::backend().map_err(|e| e.to_string())?;
    let running = start(topology, &choice, backend).map_err(|e| e.to_string())?;
    eprintln!("{topology}: {}", running.describe());
    Ok(Shared { url: running.url().to_owned(), _running: running })
}
