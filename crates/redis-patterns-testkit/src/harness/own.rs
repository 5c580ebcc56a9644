//! Servers of one test alone, for tests that break them.
//!
//! Which program they are follows `REDIS_PATTERNS_SERVER` and `REDIS_PATTERNS_BACKEND`, as the
//! shared ones do; with the compose backend they are containers of the same image.

use super::environment;
use super::test_redis::blocking;
#[cfg(feature = "tls")]
use crate::servers::Tls;
use crate::servers::{Cluster, Error, Launcher, Options, Postgres, Replicated, Sentinel, Standalone};

/// One server.
///
/// # Panics
///
/// With the reason, when it cannot be started.
pub async fn standalone(options: Options) -> Standalone {
    start(options, Standalone::start_with).await
}

/// A primary and its replicas.
///
/// # Panics
///
/// With the reason, when they cannot be started.
pub async fn replicated(options: Options) -> Replicated {
    start(options, Replicated::start_with).await
}

/// A primary, its replicas and three sentinels.
///
/// # Panics
///
/// With the reason, when they cannot be started.
pub async fn sentinel(options: Options) -> Sentinel {
    start(options, Sentinel::start_with).await
}

/// Three primaries with a replica each.
///
/// # Panics
///
/// With the reason, when they cannot be started.
pub async fn cluster(options: Options) -> Cluster {
    start(options, Cluster::start_with).await
}

/// One server with TLS.
///
/// # Panics
///
/// With the reason, when it cannot be started.
#[cfg(feature = "tls")]
pub async fn tls(options: Options) -> Tls {
    start(options, Tls::start_with).await
}

/// One Postgres.
///
/// # Panics
///
/// With the reason, when it cannot be started.
pub async fn postgres() -> Postgres {
    let started = blocking(|| Postgres::start_with(environment::backend()?)).await;
    started.unwrap_or_else(|error| panic!("no Postgres for this test: {error}"))
}

/// The launcher that the environment of this run asks for.
///
/// # Errors
///
/// As [`Launcher::find`].
pub fn launcher() -> Result<Launcher, Error> {
    Launcher::find(&environment::choice()?, environment::backend()?)
}

async fn start<T: Send + 'static>(
    options: Options,
    start: impl FnOnce(&Launcher, &Options) -> Result<T, Error> + Send + 'static,
) -> T {
    let started = blocking(move || start(&launcher()?, &options)).await;
    started.unwrap_or_else(|error| panic!("no server of its own for this test: {error}"))
}
