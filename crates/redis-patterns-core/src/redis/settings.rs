//! How one fred client is made and connected.

use super::classify;
use crate::error::{Error, ErrorKind, Executed};
use fred::clients::{Client, Pool};
use fred::error::{Error as FredError, ErrorKind as FredKind};
use fred::interfaces::ClientLike;
use fred::types::Builder;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy, Server, ServerConfig,
    UnresponsiveConfig,
};
use std::pin::Pin;
use std::time::Duration;

/// What every client of a handle has in common.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) config: Config,
    connection: ConnectionConfig,
    performance: PerformanceConfig,
}

impl Settings {
    pub(super) fn new(
        config: Config,
        connect_deadline: Duration,
        unresponsive_after: Duration,
        queue: usize,
    ) -> Self {
        let connection = ConnectionConfig {
            connection_timeout: connect_deadline,
            internal_command_timeout: connect_deadline,
            max_command_buffer_len: queue,
            unresponsive: UnresponsiveConfig {
                max_timeout: Some(unresponsive_after),
                interval: (unresponsive_after / 4).max(Duration::from_millis(10)),
            },
            // A demoted primary behind a fixed name or a Sentinel is left for its successor.
            reconnect_errors: vec![ReconnectError::ReadOnly],
            ..ConnectionConfig::default()
        };
        let performance =
            PerformanceConfig { broadcast_channel_capacity: 1_024, ..PerformanceConfig::default() };
        Self { config, connection, performance }
    }

    /// The settings of a client that the caller made.
    pub(super) fn of(client: &Client) -> Self {
        Self {
            config: client.client_config(),
            connection: client.connection_config().clone(),
            performance: client.perf_config(),
        }
    }

    pub(super) fn connect_deadline(&self) -> Duration {
        self.connection.connection_timeout
    }

    fn builder(&self, server: Option<Server>) -> Builder {
        let mut config = self.config.clone();
        if let Some(server) = server {
            config.server = ServerConfig::Centralized { server };
        }
        let mut builder = Builder::from_config(config);
        builder
            .set_connection_config(self.connection.clone())
            .set_performance_config(self.performance.clone())
            // Reconnects for ever, 50 ms to 1 s apart; each command has its own deadline.
            .set_policy(ReconnectPolicy::new_exponential(0, 50, 1_000, 2));
        builder
    }

    pub(super) fn pool(&self, size: usize) -> Result<Pool, Error> {
        self.builder(None).build_pool(size).map_err(refused)
    }

    /// A client that talks to `server` alone, or to what the settings name.
    pub(super) fn client(&self, server: Option<&Server>) -> Result<Client, Error> {
        self.builder(server.cloned()).build().map_err(refused)
    }

    /// Connects within the connect deadline; a failure ends the client's background tasks.
    pub(super) async fn init<C: ClientLike + 'static>(&self, client: &C) -> Result<(), Error> {
        let guard = QuitOnDrop(Some(client.clone()));
        let deadline = self.connect_deadline();
        // Boxed for the same reason as a send: the future is too deep to be part of a caller's.
        let connecting: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(client.init());
        let timed_out = FredError::new(FredKind::Timeout, "");
        let connected = tokio::time::timeout(deadline, connecting).await.unwrap_or(Err(timed_out));
        connected.map_err(|error| classify::connect(&place(&client.client_config()), deadline, error))?;
        guard.disarm();
        Ok(())
    }
}

fn refused(error: FredError) -> Error {
    Error::new(ErrorKind::Config, Executed::No, "connect", "the settings are refused by the client")
        .with_source(error)
}

/// Hosts and ports, for error texts: everything in a configuration that is no secret.
pub(super) fn place(config: &Config) -> String {
    let servers = config.server.hosts();
    let list = servers
        .iter()
        .map(|server| format!("{}:{}", server.host, server.port))
        .collect::<Vec<_>>()
        .join(", ");
    match config.server {
        ServerConfig::Sentinel { .. } => format!("the Sentinels {list}"),
        _ => list,
    }
}

/// Ends a client's background tasks when connecting fails or is given up.
struct QuitOnDrop<C: ClientLike + 'static>(Option<C>);

impl<C: ClientLike + 'static> QuitOnDrop<C> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl<C: ClientLike + 'static> Drop for QuitOnDrop<C> {
    fn drop(&mut self) {
        let (Some(client), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move { client.quit().await });
    }
}
