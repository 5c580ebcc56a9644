//! The handle that every pattern holds. fred is named in this folder only.

mod builder;
mod calls;
mod classify;
mod cluster;
mod dedicated;
mod probe;
mod pubsub;
mod route;
mod settings;
mod slots;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use builder::RedisBuilder;
pub use dedicated::Dedicated;
pub use pubsub::{Notice, Subscription};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Executed};
use crate::key::Namespace;
use crate::server_info::ServerInfo;
use cluster::Cluster;
use fred::clients::Pool;
use fred::interfaces::ClientLike;
use route::Servers;
use settings::Settings;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

/// A handle on a Redis server, cluster or Sentinel group; cheap to clone.
///
/// # One send
///
/// A command or script is sent once, with a deadline. If the reply is lost, the error says that it
/// [may have been applied](Executed::Maybe); nothing is sent again behind the caller's back. What
/// certainly did not run (no connection, a slot on the move, a failover) is tried again until the
/// deadline.
///
/// ```no_run
/// # async fn example() -> Result<(), redis_patterns_core::Error> {
/// use redis_patterns_core::{Args, Redis, Tag};
///
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// let key = redis.namespace().key("demo", &Tag::of("greeting"));
/// redis.command::<()>("SET", &[&key], &Args::new().bytes("hello").word("PX").int(60_000)).await?;
/// let text: Option<String> = redis.command("GET", &[&key], &Args::new()).await?;
/// assert_eq!(text.as_deref(), Some("hello"));
/// redis.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
    namespace: Namespace,
    clock: Clock,
    deadline: Duration,
}

struct Shared {
    servers: Servers,
    /// The pool of a caller who shares it, and ends it.
    callers_pool: Option<Pool>,
    runtime: Handle,
    /// Counts calls and detached tasks; closed by `close`, which waits for it to be empty.
    work: TaskTracker,
    info: OnceCell<ServerInfo>,
    commands: Mutex<HashMap<&'static str, bool>>,
    lines: OnceLock<Arc<pubsub::Lines>>,
}

impl Redis {
    /// Connects to `url` with the defaults of [`RedisBuilder`].
    ///
    /// # Errors
    ///
    /// As [`RedisBuilder::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Settings for a connection to `url`.
    ///
    /// `redis://[user:password@]host:port[/db]`, `redis-cluster://host:port[?node=host:port&..]`,
    /// `redis-sentinel://host:port?sentinelServiceName=name[&node=host:port..]`; `rediss` instead of
    /// `redis` for TLS (feature `tls`), `valkey` for the same.
    pub fn builder(url: &str) -> RedisBuilder {
        RedisBuilder::new(url)
    }

    /// A handle on a pool that the caller already has and keeps: closing the handle leaves it open.
    ///
    /// The commands of this handle carry their own options, so the pool's retry settings do not
    /// apply to them; the pool must have been initialised. Of a pool on a cluster only the settings
    /// are used, and connections of one's own are made at the first use, one to each primary:
    /// fred's cluster client stops answering once a slot is on the move.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn from_pool(pool: Pool, namespace: Namespace) -> Self {
        let servers = if pool.next().is_clustered() {
            Servers::Cluster(Arc::new(Cluster::new(Settings::of(pool.next()), 1, Handle::current())))
        } else {
            Servers::One(pool.clone())
        };
        Self::new(servers, namespace, Clock::Server, Duration::from_secs(1), Some(pool))
    }

    /// The pool that was given to [`Redis::from_pool`], or that serves a single server; `None` on a
    /// cluster that was connected by its URL. What is sent there has fred's own rules: up to three
    /// attempts, and no deadline unless one was set.
    #[must_use]
    pub fn fred(&self) -> Option<&Pool> {
        match (&self.shared.callers_pool, &self.shared.servers) {
            (Some(pool), _) | (None, Servers::One(pool)) => Some(pool),
            (None, Servers::Cluster(_)) => None,
        }
    }

    fn new(
        servers: Servers,
        namespace: Namespace,
        clock: Clock,
        deadline: Duration,
        callers_pool: Option<Pool>,
    ) -> Self {
        let shared = Shared {
            servers,
            callers_pool,
            runtime: Handle::current(),
            work: TaskTracker::new(),
            info: OnceCell::new(),
            commands: Mutex::default(),
            lines: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), namespace, clock, deadline }
    }

    /// The same connections under another namespace.
    #[must_use]
    pub fn with_namespace(&self, namespace: Namespace) -> Self {
        Self { namespace, ..self.clone() }
    }

    /// The same connections with another deadline for commands.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The namespace of every key made through this handle.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Whose time scripts go by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time within which a command must be answered.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// A connection of one's own, for commands that block or wait; made at its first use.
    #[must_use]
    pub fn dedicated(&self) -> Dedicated {
        Dedicated::new(self)
    }

    /// Starts a task that runs to its end even if nobody waits for it; [`Redis::close`] waits.
    ///
    /// Works where no runtime is current, such as in a `drop`.
    pub fn detach<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.work.spawn_on(task, &self.shared.runtime)
    }

    /// Waits for calls and detached tasks that are under way, then ends the connections, which takes
    /// at most the command deadline.
    ///
    /// New calls fail at once with [`ErrorKind::Closed`]; detached tasks may still use other
    /// handles. Every clone is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub async fn close(&self) {
        self.shared.work.close();
        self.shared.work.wait().await;
        // fred's farewell has no deadline, and may wait for ever for a server that is gone.
        let _ = tokio::time::timeout(self.deadline, self.end_connections()).await;
    }

    async fn end_connections(&self) {
        if let Some(lines) = self.shared.lines.get() {
            lines.close().await;
        }
        match &self.shared.servers {
            Servers::Cluster(cluster) => cluster.close().await,
            Servers::One(pool) if self.shared.callers_pool.is_none() => {
                // The error of a connection that is already gone is of no interest.
                let _ = pool.quit().await;
            }
            Servers::One(_) => {}
        }
    }

    fn refuse_if_closed(&self, operation: &'static str) -> Result<(), Error> {
        if self.shared.work.is_closed() {
            return Err(Error::new(ErrorKind::Closed, Executed::No, operation, "the handle was closed"));
        }
        Ok(())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("namespace", &self.namespace)
            .field("server", &self.shared.info.get())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // fred's background tasks hold their client, so the connections would outlive the handle.
        // A cluster ends its own.
        if let (Servers::One(pool), None) = (&self.servers, &self.callers_pool) {
            let pool = pool.clone();
            self.runtime.spawn(async move { pool.quit().await });
        }
    }
}
