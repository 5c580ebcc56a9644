//! A proxy before one server that breaks connections at a chosen reply, not at a chosen moment.

mod plan;
mod pump;

pub use plan::{Counts, Match};

use super::resp::Server;
use plan::{Action, Plan};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// A TCP proxy in front of one server, aware of requests and replies.
///
/// A *request* is one RESP array from the client, a *reply* one RESP value from the server that is
/// no push message; they are paired by their order on the connection. Faults are set while traffic
/// flows and count what they did in [`Proxy::counts`]. Dropping the proxy closes its port and every
/// connection.
///
/// # What it does not do
///
/// TLS, and connections that leave request and reply (SUBSCRIBE under RESP2, MONITOR, CLIENT
/// REPLY): those pass, but their messages are not counted as replies. In front of a cluster node, a
/// client that follows the node's own announcements walks around the proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
    upstream: String,
    accepting: AbortHandle,
}

/// What the connections of one proxy share.
#[derive(Debug)]
struct Shared {
    server: String,
    plan: Mutex<Plan>,
    gate: watch::Sender<Gate>,
}

/// What holds or ends connections from outside.
#[derive(Debug, Clone, Copy, Default)]
struct Gate {
    stalled: bool,
    /// Connections of an earlier epoch are cut.
    epoch: u64,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Starts a proxy on a loopback port before `upstream`: `host:port` or a `redis://` URL.
    ///
    /// # Errors
    ///
    /// No loopback port is free. Whether the server is there shows at the first connection.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (plan, gate) = (Mutex::default(), watch::Sender::new(Gate::default()));
        let server = Server::parse(upstream).address;
        let shared = Arc::new(Shared { server, plan, gate });
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Ok(Self { shared, addr, upstream: upstream.to_owned(), accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL for clients: the upstream's, user and password included, with the proxy's address.
    #[must_use]
    pub fn url(&self) -> String {
        let upstream = &self.upstream;
        let url = if upstream.contains("://") { upstream.clone() } else { format!("redis://{upstream}") };
        // From the right: the password is free to look like an address.
        let (before, after) = url.rsplit_once(&self.shared.server).unwrap_or((&url, ""));
        format!("{before}{}{after}", self.addr)
    }

    /// What has happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.plan().counts.clone()
    }

    /// The next `n` matching requests are executed; the reply of each is swallowed and its
    /// connection cut.
    ///
    /// Requests behind it on the same connection may have been executed too: see
    /// [`Counts::unanswered`].
    pub fn lose_replies(&self, n: usize, matching: Match) {
        self.shared.plan().add(Action::LoseReply, n, matching);
    }

    /// The next `n` matching requests are executed; half of the reply arrives, then the connection
    /// is cut.
    pub fn cut_inside_reply(&self, n: usize, matching: Match) {
        self.shared.plan().add(Action::CutInsideReply, n, matching);
    }

    /// Half of each of the next `n` matching requests is passed on, then its connection is cut:
    /// never executed.
    pub fn cut_inside_request(&self, n: usize, matching: Match) {
        self.shared.plan().add(Action::CutInsideRequest, n, matching);
    }

    /// After `n` more bytes of replies, over all connections, the one that carried the last of them
    /// is cut. Once.
    pub fn cut_after_bytes(&self, n: usize) {
        self.shared.plan().cut_after = Some(n);
    }

    /// Holds every request and every reply for this long before passing it on; zero ends it.
    pub fn delay(&self, time: Duration) {
        self.shared.plan().delay = time;
    }

    /// Passes on nothing, in either direction, and keeps every connection open; new ones are
    /// accepted. A black hole.
    pub fn stall(&self) {
        self.shared.gate.send_modify(|gate| gate.stalled = true);
    }

    /// Ends [`Proxy::stall`]; what was held is passed on.
    pub fn resume(&self) {
        self.shared.gate.send_modify(|gate| gate.stalled = false);
    }

    /// Passes replies on in writes of `bytes` bytes each; zero ends it.
    pub fn slice(&self, bytes: usize) {
        self.shared.plan().slice = bytes;
    }

    /// New connections are closed before a byte is passed on. (A port that refuses the connect
    /// itself cannot count; drop the proxy for that.)
    pub fn refuse(&self) {
        self.shared.plan().refuse = true;
    }

    /// Ends [`Proxy::refuse`].
    pub fn accept(&self) {
        self.shared.plan().refuse = false;
    }

    /// Cuts every connection there is.
    pub fn cut_all(&self) {
        let epoch = self.shared.plan().next_epoch();
        self.shared.gate.send_modify(|gate| gate.epoch = epoch);
    }

    /// Ends every fault. Connections that were cut stay cut.
    pub fn heal(&self) {
        self.shared.plan().heal();
        self.resume();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections live in the task's set and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let admitted = shared.plan().admit();
        if let Some(epoch) = admitted {
            connections.spawn(serve(client, shared.clone(), epoch));
        }
    }
}

/// One connection from its start to its end.
async fn serve(client: TcpStream, shared: Arc<Shared>, epoch: u64) {
    let mut gate = shared.gate.subscribe();
    tokio::select! {
        _ = pump::run(client, &shared, epoch) => {}
        _ = gate.wait_for(|gate| gate.epoch != epoch) => {}
    }
    shared.plan().closed(epoch);
}
