//! One server of one test through testcontainers, as a service's own tests would start it.

use testcontainers_modules::redis::{REDIS_PORT, Redis};
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ImageExt, TestcontainersError};

/// The module's own default is 5.0, which has no BLMOVE and no GETEX.
const TAG: &str = "8";

/// A Redis in a container, gone when this is dropped inside a multi-threaded runtime.
#[derive(Debug)]
pub struct Container {
    url: String,
    _container: ContainerAsync<Redis>,
}

impl Container {
    /// `redis://host:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Starts a Redis 8 container.
///
/// # Errors
///
/// When no Docker engine answers or the image cannot be had.
pub async fn redis() -> Result<Container, TestcontainersError> {
    let container = Redis::default().with_tag(TAG).start().await?;
    let host = container.get_host().await?;
    let port = container.get_host_port_ipv4(REDIS_PORT).await?;
    Ok(Container { url: format!("redis://{host}:{port}"), _container: container })
}
