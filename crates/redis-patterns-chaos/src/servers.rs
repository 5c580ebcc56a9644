//! The servers of a cell, and what is asked of them besides the workers' calls.

use redis_patterns_testkit::faults::resp::{Conn, Reply};
use redis_patterns_testkit::servers::{Cluster, Node, Standalone};
use std::io;
use std::sync::Arc;

/// One server, or three primaries with a replica each.
#[derive(Clone, Debug)]
pub(crate) enum Servers {
    One(Arc<Standalone>),
    Cluster(Arc<Cluster>),
}

impl Servers {
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::One(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        match self {
            Self::One(server) => server.nodes(),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// Does something with the servers that blocks.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, redis_patterns_testkit::servers::Error> + Send + 'static,
    ) -> io::Result<T> {
        let servers = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&servers)).await;
        done.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// Addresses of those that take writes now.
    pub(crate) async fn primaries(&self) -> io::Result<Vec<String>> {
        self.with(|servers| {
            Ok(match servers {
                Self::One(server) => vec![server.node().address()],
                Self::Cluster(cluster) => cluster.primaries().into_iter().map(Node::address).collect(),
            })
        })
        .await
    }

    pub(crate) async fn wait_healthy(&self) -> io::Result<()> {
        self.with(|servers| match servers {
            Self::One(server) => server.node().wait_ready(),
            Self::Cluster(cluster) => cluster.wait_healthy(),
        })
        .await
    }

    pub(crate) async fn server_version(&self) -> String {
        let Some(node) = self.nodes().first() else { return String::new() };
        let info = ask(&node.address(), &["INFO", "server"]).await.map(|reply| reply.text());
        let info = info.unwrap_or_default();
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match field("valkey_version:") {
            Some(version) => format!("valkey {version}"),
            None => format!("redis {}", field("redis_version:").unwrap_or("?")),
        }
    }

    /// How often the servers answered with this error since they started.
    pub(crate) async fn errors(&self, code: &str) -> u64 {
        let mark = format!("errorstat_{code}:count=");
        let mut sum = 0;
        for address in self.primaries().await.unwrap_or_default() {
            let Ok(info) = ask(&address, &["INFO", "errorstats"]).await else { continue };
            let text = info.text();
            let count = text.lines().find_map(|line| line.strip_prefix(&mark));
            sum += count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_default();
        }
        sum
    }

    /// The first keys of each server that match, at most so many of each.
    pub(crate) async fn keys(&self, pattern: &str, most: usize) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for address in self.primaries().await? {
            let (mut conn, mut cursor, mut here) = (Conn::connect(&address).await?, "0".to_owned(), 0);
            loop {
                let reply = conn.call(["SCAN", &cursor, "MATCH", pattern, "COUNT", "1000"]).await?;
                let [next, keys] = reply.items() else { break };
                for key in keys.items() {
                    let Reply::Text(key) = key else { continue };
                    found.push((address.clone(), key.clone()));
                    here += 1;
                }
                cursor = next.text();
                if cursor == "0" || here >= most {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// How many of those keys have no expiry.
    pub(crate) async fn immortal(&self, pattern: &str) -> io::Result<u64> {
        let keys = self.keys(pattern, 1_000).await?;
        let mut immortal = 0;
        let mut conn: Option<Conn> = None;
        for (address, key) in keys {
            let connected = match conn.take() {
                Some(conn) if conn.address() == address => conn,
                _ => Conn::connect(&address).await?,
            };
            let ttl = conn.insert(connected).call([b"PTTL".as_slice(), &key]).await?;
            immortal += u64::from(ttl.text() == "-1");
        }
        Ok(immortal)
    }
}

/// Asks one server.
pub(crate) async fn ask(address: &str, words: &[&str]) -> io::Result<Reply> {
    Conn::connect(address).await?.call(words).await
}
