//! Faults of the server itself: forgotten scripts, killed clients, failovers, half-moved slots.
//!
//! Servers are given as `host:port` or `redis://[user:password@]host:port`.

use super::resp::{Conn, Reply, Server};
use std::io;
use std::time::Duration;

/// Forgets every script on these servers: the next EVALSHA answers NOSCRIPT.
///
/// # Errors
///
/// A server cannot be reached or refuses.
pub async fn script_flush(servers: &[impl AsRef<str>]) -> io::Result<()> {
    for_each(servers, &["SCRIPT", "FLUSH"]).await.map(drop)
}

/// Kills every ordinary client connection of these servers but this one; answers how many died.
///
/// # Errors
///
/// A server cannot be reached or refuses.
pub async fn client_kill_normal(servers: &[impl AsRef<str>]) -> io::Result<u64> {
    let killed = for_each(servers, &["CLIENT", "KILL", "TYPE", "normal"]).await?;
    Ok(killed.iter().filter_map(|reply| reply.text().parse::<u64>().ok()).sum())
}

/// The servers answer no client for this long; what is sent meanwhile is executed after it.
///
/// # Errors
///
/// A server cannot be reached or refuses.
pub async fn client_pause(servers: &[impl AsRef<str>], time: Duration) -> io::Result<()> {
    for_each(servers, &["CLIENT", "PAUSE", &time.as_millis().to_string(), "ALL"]).await.map(drop)
}

/// Sets one directive, such as `maxmemory` to `1` (then every write that may grow is refused with
/// OOM).
///
/// # Errors
///
/// A server cannot be reached or does not know the directive.
pub async fn config_set(servers: &[impl AsRef<str>], name: &str, value: &str) -> io::Result<()> {
    for_each(servers, &["CONFIG", "SET", name, value]).await.map(drop)
}

/// How a replica takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// With its primary's help: no write is lost.
    Coordinated,
    /// Without its primary, which must be down or unheard, with the votes of the others.
    Force,
    /// Without asking anybody.
    Takeover,
}

/// Makes a replica of a cluster the primary and waits until it says so itself.
///
/// # Errors
///
/// The server cannot be reached, is no replica, or is not primary within 30 s.
pub async fn cluster_failover(replica: &str, how: Failover) -> io::Result<()> {
    let mut conn = Conn::connect(replica).await?;
    match how {
        Failover::Coordinated => conn.call(["CLUSTER", "FAILOVER"]).await?,
        Failover::Force => conn.call(["CLUSTER", "FAILOVER", "FORCE"]).await?,
        Failover::Takeover => conn.call(["CLUSTER", "FAILOVER", "TAKEOVER"]).await?,
    };
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        while !is_primary(&mut conn).await? {
            tick.tick().await;
        }
        Ok(())
    };
    let late = || {
        io::Error::other(format!(
            "{replica}: no primary 30 s after CLUSTER FAILOVER; is its primary reachable?"
        ))
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| Err(late()))
}

/// The slot of a key, by the server's own function.
///
/// # Errors
///
/// The server cannot be reached or is in no cluster.
pub async fn slot_of(server: &str, key: &[u8]) -> io::Result<u16> {
    let reply = Conn::connect(server).await?.call([&b"CLUSTER"[..], b"KEYSLOT", key]).await?;
    reply.text().parse().map_err(|_| io::Error::other(format!("{server}: CLUSTER KEYSLOT answered no slot")))
}

/// A slot on its way from one primary to another, held wherever the test wants it.
///
/// While it is half moved, a request for keys that are all on the new side is answered ASK, one for
/// keys on both sides TRYAGAIN.
#[derive(Debug)]
pub struct SlotMove {
    slot: String,
    from: Conn,
    to: Conn,
    target: Server,
}

impl SlotMove {
    /// Marks the slot as migrating on `from` and importing on `to`; no key moves yet.
    ///
    /// # Errors
    ///
    /// A server cannot be reached, or `from` does not own the slot.
    pub async fn begin(slot: u16, from: &str, to: &str) -> io::Result<Self> {
        let target = Server::parse(to);
        let (mut from, mut to) = (Conn::connect(from).await?, Conn::connect(to).await?);
        let (from_id, to_id) = (id(&mut from).await?, id(&mut to).await?);
        let slot = slot.to_string();
        to.call(["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).await?;
        from.call(["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).await?;
        Ok(Self { slot, from, to, target })
    }

    /// Moves up to `n` of the keys that are left; answers how many it moved.
    ///
    /// # Errors
    ///
    /// A server cannot be reached or the target refuses a key.
    pub async fn move_keys(&mut self, n: usize) -> io::Result<usize> {
        let listed = self.from.call(["CLUSTER", "GETKEYSINSLOT", &self.slot, &n.to_string()]).await?;
        let keys: Vec<Vec<u8>> = listed.items().iter().map(bytes).collect();
        self.migrate(&keys).await?;
        Ok(keys.len())
    }

    /// Moves this key alone, so that a test chooses which key of an operation is on which side.
    ///
    /// # Errors
    ///
    /// A server cannot be reached or the target refuses the key.
    pub async fn move_key(&mut self, key: &[u8]) -> io::Result<()> {
        self.migrate(&[key.to_vec()]).await
    }

    async fn migrate(&mut self, keys: &[Vec<u8>]) -> io::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let (host, port) = self.target.address.rsplit_once(':').unwrap_or((&self.target.address, "6379"));
        let mut words: Vec<&[u8]> = ["MIGRATE", host, port, "", "0", "5000"].map(str::as_bytes).to_vec();
        match (&self.target.user, &self.target.password) {
            (Some(user), Some(password)) => {
                words.extend([&b"AUTH2"[..], user.as_bytes(), password.as_bytes()]);
            }
            (None, Some(password)) => words.extend([&b"AUTH"[..], password.as_bytes()]),
            _ => {}
        }
        words.push(b"KEYS");
        words.extend(keys.iter().map(Vec::as_slice));
        self.from.call(words).await.map(drop)
    }

    /// Moves what is left and gives the slot to its new owner, on that node first and then on every
    /// other primary among `nodes` (replicas among them are left out: they learn it from their
    /// primary).
    ///
    /// # Errors
    ///
    /// A server cannot be reached or refuses.
    pub async fn finish(mut self, nodes: &[impl AsRef<str>]) -> io::Result<()> {
        while self.move_keys(100).await? > 0 {}
        let owner = id(&mut self.to).await?;
        let words = ["CLUSTER", "SETSLOT", &self.slot, "NODE", &owner];
        self.to.call(words).await?;
        self.from.call(words).await?;
        for node in nodes {
            let mut conn = Conn::connect(node.as_ref()).await?;
            if is_primary(&mut conn).await? {
                conn.call(words).await?;
            }
        }
        Ok(())
    }
}

async fn id(conn: &mut Conn) -> io::Result<String> {
    Ok(conn.call(["CLUSTER", "MYID"]).await?.text())
}

async fn is_primary(conn: &mut Conn) -> io::Result<bool> {
    Ok(conn.call(["ROLE"]).await?.items().first().is_some_and(|role| role.text() == "master"))
}

fn bytes(reply: &Reply) -> Vec<u8> {
    if let Reply::Text(bytes) = reply { bytes.clone() } else { Vec::new() }
}

async fn for_each(servers: &[impl AsRef<str>], words: &[&str]) -> io::Result<Vec<Reply>> {
    let mut replies = Vec::new();
    for server in servers {
        replies.push(Conn::connect(server.as_ref()).await?.call(words).await?);
    }
    Ok(replies)
}
