//! How a handle is configured and connected.

use super::Redis;
use super::cluster::Cluster;
use super::route::Servers;
use super::settings::{Settings, place};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Executed};
use crate::key::Namespace;
use fred::types::config::{Config, Server, ServerConfig};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The schemes of [`Redis::builder`]; any other would be taken for a plain server's.
const SCHEMES: [&str; 12] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "valkey",
    "valkeys",
    "valkey-cluster",
    "valkeys-cluster",
    "valkey-sentinel",
    "valkeys-sentinel",
];

/// The settings of a [`Redis`] handle before it is connected.
///
/// Its `Debug` shows neither the URL nor anything in it.
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect`"]
pub struct RedisBuilder {
    url: String,
    namespace: Namespace,
    clock: Clock,
    connections: NonZeroUsize,
    connect_deadline: Duration,
    command_deadline: Duration,
    unresponsive_after: Duration,
    max_queued_commands: usize,
    #[cfg(feature = "tls")]
    tls_ca_pem: Option<Vec<u8>>,
}

impl RedisBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            namespace: Namespace::default(),
            clock: Clock::Server,
            connections: NonZeroUsize::MIN,
            connect_deadline: Duration::from_secs(5),
            command_deadline: Duration::from_secs(1),
            unresponsive_after: Duration::from_secs(10),
            max_queued_commands: 65_536,
            #[cfg(feature = "tls")]
            tls_ca_pem: None,
        }
    }

    /// The namespace of every key; `rp` unless set.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// The number of connections to each server; 1 unless set, which is the fastest for most: one
    /// connection carries the commands of all tasks, and more of them gained nothing on two cores.
    pub fn connections(mut self, connections: NonZeroUsize) -> Self {
        self.connections = connections;
        self
    }

    /// The time within which a connection must be made; 5 s unless set.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// The time within which a command must be answered; 1 s unless set, well above a slow fsync
    /// and well below what a user waits for.
    pub fn command_deadline(mut self, deadline: Duration) -> Self {
        self.command_deadline = deadline;
        self
    }

    /// The time after which a connection that owes a reply is closed and made anew; 10 s unless
    /// set. Shorter than a failover (about 4 s in a cluster) it makes healthy shards wait too.
    pub fn unresponsive_after(mut self, span: Duration) -> Self {
        self.unresponsive_after = span;
        self
    }

    /// The most commands that may wait to be written; 65,536 unless set. One more is refused
    /// at once as [`ErrorKind::NotSent`].
    pub fn max_queued_commands(mut self, commands: NonZeroUsize) -> Self {
        self.max_queued_commands = commands.get();
        self
    }

    /// Whose time scripts go by; the server's unless a model test says otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The certificate authority (PEM) that signed the server's certificate, instead of the
    /// operating system's. For `rediss://` URLs.
    #[cfg(feature = "tls")]
    pub fn tls_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_ca_pem = Some(pem.into());
        self
    }

    /// Connects, and checks that the server is one these crates can work with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a URL that cannot be read or does not fit the server,
    /// [`ErrorKind::Connect`], [`ErrorKind::Auth`], and [`ErrorKind::ServerTooOld`] below Redis 7.0
    /// or Valkey 7.2. Each within the connect deadline and with the next step in its text.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Redis, Error> {
        let config = self.config()?;
        let place = place(&config);
        let clustered = config.server.is_clustered();
        let settings = self.settings(config);
        let servers = if clustered {
            let cluster = Cluster::new(settings, self.connections.get(), Handle::current());
            cluster.read_map().await?;
            Servers::Cluster(Arc::new(cluster))
        } else {
            let pool = settings.pool(self.connections.get())?;
            settings.init(&pool).await?;
            Servers::One(pool)
        };
        let redis = Redis::new(servers, self.namespace, self.clock, self.command_deadline, None);
        redis.check_server(&place).await?;
        Ok(redis)
    }

    /// The servers that the URL names, host and port; of a Sentinel group its Sentinels.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a URL that cannot be read.
    pub fn servers(&self) -> Result<Vec<(String, u16)>, Error> {
        let hosts = self.config()?.server.hosts();
        Ok(hosts.into_iter().map(|server| (server.host.to_string(), server.port)).collect())
    }

    /// Connects to one server alone with the user, password and TLS of this URL, whatever that server
    /// is: a node of a cluster, a replica, one that is too old.
    ///
    /// For tools that look at each server. A pattern needs [`connect`](Self::connect): here a key of
    /// another node is refused with `MOVED`, and nothing is checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], [`ErrorKind::Connect`] and [`ErrorKind::Auth`], each within the connect
    /// deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect_node(self, host: &str, port: u16) -> Result<Redis, Error> {
        let mut config = self.config()?;
        config.server = ServerConfig::Centralized { server: Server::new(host, port) };
        let settings = self.settings(config);
        let pool = settings.pool(1)?;
        settings.init(&pool).await?;
        Ok(Redis::new(Servers::One(pool), self.namespace, self.clock, self.command_deadline, None))
    }

    fn settings(&self, config: Config) -> Settings {
        Settings::new(config, self.connect_deadline, self.unresponsive_after, self.max_queued_commands)
    }

    fn config(&self) -> Result<Config, Error> {
        let config_error = |what: &'static str| {
            Error::new(ErrorKind::Config, Executed::No, "connect", what).with_next(
                "write it as redis://host:port, redis-cluster://host:port?node=host:port, \
                 redis-sentinel://host:port?sentinelServiceName=name or rediss://host:port",
            )
        };
        if !SCHEMES.contains(&self.url.split("://").next().unwrap_or_default()) {
            return Err(config_error("the Redis URL has no scheme that is known here"));
        }
        // fred's own error may quote the URL and with it the password.
        let mut config =
            Config::from_url(&self.url).map_err(|_| config_error("the Redis URL cannot be read"))?;
        if config.server.hosts().iter().any(|server| server.host.is_empty()) {
            return Err(config_error("the Redis URL names no host"));
        }
        config.fail_fast = true;
        self.set_tls(&mut config)?;
        Ok(config)
    }

    #[cfg(feature = "tls")]
    fn set_tls(&self, config: &mut Config) -> Result<(), Error> {
        if super::tls::is_asked_for(&self.url) {
            config.tls = Some(super::tls::connector(self.tls_ca_pem.as_deref())?.into());
        }
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    fn set_tls(&self, _: &mut Config) -> Result<(), Error> {
        let scheme = self.url.split(':').next().unwrap_or_default();
        if matches!(scheme, "rediss" | "valkeys")
            || scheme.starts_with("rediss-")
            || scheme.starts_with("valkeys-")
        {
            return Err(Error::new(ErrorKind::Config, Executed::No, "connect", "the URL asks for TLS")
                .with_next("turn on the feature `tls` of redis-patterns-core"));
        }
        Ok(())
    }
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("namespace", &self.namespace)
            .field("connections", &self.connections)
            .field("connect_deadline", &self.connect_deadline)
            .field("command_deadline", &self.command_deadline)
            .finish_non_exhaustive()
    }
}
