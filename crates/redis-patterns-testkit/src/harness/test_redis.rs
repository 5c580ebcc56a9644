//! The handle that a test gets.

use std::time::Duration;

use redis_patterns_core::{Namespace, Redis, hex, random_bytes};

use super::{environment, shared};
use crate::servers::resp::{Conn, Reply};
use crate::servers::{Error, Topology, connect, primaries};

/// Far above what a call takes on a loaded machine; a test of deadlines sets its own.
const COMMAND_DEADLINE: Duration = Duration::from_secs(5);
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A Redis handle with a namespace that no other test has.
#[derive(Debug)]
pub struct TestRedis {
    /// The handle under test.
    pub redis: Redis,
    url: String,
    topology: Topology,
}

impl TestRedis {
    /// A handle on a single server; `None` if this run leaves that topology out.
    ///
    /// # Panics
    ///
    /// With a text that says what to do, when no server can be had.
    pub async fn standalone() -> Option<Self> {
        Self::on(Topology::Standalone).await
    }

    /// A handle on a cluster; `None` if this run leaves that topology out.
    ///
    /// # Panics
    ///
    /// With a text that says what to do, when no cluster can be had.
    pub async fn cluster() -> Option<Self> {
        Self::on(Topology::Cluster).await
    }

    /// A handle on a server of the test's own, such as those of [`own`](super::own).
    ///
    /// # Panics
    ///
    /// When it cannot connect.
    pub async fn at(url: &str) -> Self {
        let topology = if url.contains("-cluster://") { Topology::Cluster } else { Topology::Standalone };
        let connect = Redis::builder(url)
            .namespace(namespace())
            .command_deadline(COMMAND_DEADLINE)
            .connect_deadline(CONNECT_DEADLINE)
            .connect();
        // Boxed: the client's futures nest deeper than the compiler's limit for one type.
        match Box::pin(connect).await {
            Ok(redis) => Self { redis, url: url.to_owned(), topology },
            Err(error) => panic!("the {topology} server of the tests is of no use: {error}"),
        }
    }

    pub(super) async fn on(topology: Topology) -> Option<Self> {
        if environment::left_out(topology).is_some() {
            return None;
        }
        match blocking(move || shared::url(topology)).await {
            Ok(url) => Some(Self::at(url).await),
            Err(why) => panic!("no {topology} server for the tests: {why}"),
        }
    }

    /// The same handle for two tasks: for whoever cleans up after the test.
    pub(super) fn twin(&self) -> Self {
        Self { redis: self.redis.clone(), url: self.url.clone(), topology: self.topology }
    }

    /// Where the server is, with its password if it has one.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One server or a cluster.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// A second handle with a connection of its own and the same keys: another process's view.
    ///
    /// # Panics
    ///
    /// When it cannot connect.
    pub async fn another(&self) -> Redis {
        let other = Self::at(&self.url).await;
        other.redis.with_namespace(self.redis.namespace().clone())
    }

    /// A blocking connection to the server, or to the first server of the cluster.
    ///
    /// # Panics
    ///
    /// When it cannot connect, as to a TLS server.
    #[must_use]
    pub fn admin(&self) -> Conn {
        expect(connect(&self.url))
    }

    /// A blocking connection to each server that takes writes.
    ///
    /// # Panics
    ///
    /// When one cannot be reached.
    #[must_use]
    pub fn admin_nodes(&self) -> Vec<Conn> {
        expect(primaries(&self.url))
    }

    /// Every key of this test's namespace, sorted: the whole state that a test left.
    ///
    /// # Panics
    ///
    /// When a server cannot be asked.
    pub async fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.redis.namespace().as_str());
        let found = self.on_each(move |conn| scan(conn, &pattern)).await;
        let mut keys: Vec<String> = found.into_iter().flatten().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// What PTTL says of a key: milliseconds left, -1 without an expiry, -2 without the key.
    ///
    /// # Panics
    ///
    /// When a server cannot be asked.
    pub async fn ttl_ms(&self, key: &str) -> i64 {
        let key = key.to_owned();
        let asked = move |conn: &mut Conn| match conn.cmd(&["PTTL", &key]) {
            Err(error) if error.server_code() == Some("MOVED") => Ok(None),
            answer => answer.map(|ttl| ttl.int()),
        };
        self.on_each(asked).await.into_iter().flatten().next().unwrap_or(-2)
    }

    /// Deletes every key of this test's namespace.
    ///
    /// # Panics
    ///
    /// When a server cannot be asked.
    pub async fn delete_keys(&self) {
        let pattern = format!("{}:*", self.redis.namespace().as_str());
        self.on_each(move |conn| {
            let keys = scan(conn, &pattern)?;
            keys.iter().try_for_each(|key| conn.cmd(&["UNLINK", key]).map(drop))
        })
        .await;
    }

    /// Asks every server that takes writes, off the runtime's threads.
    async fn on_each<T: Send + 'static>(
        &self,
        ask: impl Fn(&mut Conn) -> Result<T, Error> + Send + 'static,
    ) -> Vec<T> {
        let url = self.url.clone();
        let all = move || primaries(&url)?.iter_mut().map(ask).collect();
        expect(blocking(all).await)
    }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn scan(conn: &mut Conn, pattern: &str) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = conn.cmd(&["SCAN", &cursor, "MATCH", pattern, "COUNT", "1000"])?;
        let [next, found] = reply.items() else { return Ok(keys) };
        keys.extend(found.items().iter().map(Reply::text));
        cursor = next.text();
        if cursor == "0" {
            return Ok(keys);
        }
    }
}

fn namespace() -> Namespace {
    let random = random_bytes::<8>().expect("the system gives random bytes");
    Namespace::new(&format!("test-{}", hex(&random))).expect("hexadecimal digits make a namespace")
}

fn expect<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("the test's server cannot be asked: {error}"))
}
