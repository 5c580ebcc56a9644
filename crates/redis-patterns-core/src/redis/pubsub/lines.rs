//! The connections that carry subscriptions, one to each node, and the channels' way between them.

use super::Notice;
use super::channels::{Channels, Left};
use crate::args::Args;
use crate::error::{Error, ErrorKind, Executed};
use crate::key::Key;
use crate::redis::classify;
use crate::redis::cluster::Cluster;
use crate::redis::route::Servers;
use crate::redis::slots::Redirect;
use crate::redis::wire::Request;
use fred::clients::Client;
use fred::error::{Error as FredError, ErrorKind as FredKind};
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Server;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::JoinHandle;

/// How often a channel may be sent on to another node before that is an error.
const MAX_MOVES: u32 = 5;
/// How long one step of following a channel may take; it is tried again after as long.
const FOLLOW: Duration = Duration::from_millis(500);
/// How often a connection that broke is looked at, and the slot map read meanwhile.
const SEEK_EVERY: Duration = Duration::from_millis(250);
/// How often the slot map is read while all is well: a node that gives a slot away ends its
/// subscriptions without an error.
const REFRESH_EVERY: Duration = Duration::from_secs(10);

/// The subscriptions of a handle.
pub(in crate::redis) struct Lines {
    servers: Servers,
    runtime: Handle,
    channels: Arc<Channels>,
    /// Held over the server's confirmation, so that a last reader who leaves cannot undo a first one
    /// who comes.
    open: Mutex<HashMap<Server, Line>>,
}

impl Lines {
    pub(in crate::redis) fn new(servers: &Servers, runtime: Handle) -> Arc<Self> {
        let lines = Arc::new(Self {
            servers: servers.clone(),
            runtime,
            channels: Arc::default(),
            open: Mutex::default(),
        });
        if let Servers::Cluster(cluster) = servers {
            lines.runtime.spawn(follow(Arc::downgrade(&lines), cluster.changes()));
        }
        lines
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// One more reader of `channel`, once the server has confirmed the first.
    pub(super) async fn join(
        &self,
        channel: &Key,
        deadline: Duration,
    ) -> Result<broadcast::Receiver<Notice>, Error> {
        let mut open = self.open.lock().await;
        // Listening starts before the server confirms, so that the first message is not missed.
        let entry = Entered { channels: &self.channels, name: channel.as_str(), stays: false };
        let (notices, is_first) = self.channels.enter(channel.as_str(), channel.slot());
        if is_first {
            self.place(&mut open, channel.as_str(), channel.slot(), deadline).await?;
        }
        entry.stay();
        Ok(notices)
    }

    /// One reader less; with the last one the channel leaves the server.
    pub(super) async fn leave(&self, name: &str) {
        let open = self.open.lock().await;
        let Left::Nobody { at: Some(server) } = self.channels.leave(name) else { return };
        if let Some(line) = open.get(&server) {
            // A channel that stays subscribed costs a message nobody reads, nothing more.
            let _ = tokio::time::timeout(FOLLOW, line.client.sunsubscribe(name)).await;
        }
    }

    /// Subscribes to the channel on the node that serves its slot.
    async fn place(
        &self,
        open: &mut HashMap<Server, Line>,
        name: &str,
        slot: u16,
        deadline: Duration,
    ) -> Result<(), Error> {
        for _ in 0..MAX_MOVES {
            let server = self.servers.target_within(slot, deadline).await?;
            let client = self.client(open, &server).await?;
            let late = FredError::new(FredKind::Timeout, "");
            let asked = tokio::time::timeout(deadline, client.ssubscribe(name)).await.unwrap_or(Err(late));
            let Err(error) = asked else {
                self.channels.settle(name, &server);
                return Ok(());
            };
            match (Redirect::parse(error.details(), &server), &self.servers) {
                (Some(Redirect::Moved(to)), Servers::Cluster(cluster)) => cluster.learn(Some(slot), to),
                _ => {
                    let request = Request::Keyless { name: "SSUBSCRIBE", args: &Args::new() };
                    return Err(classify::call(request, deadline, error));
                }
            }
        }
        let what = "the cluster passed the subscription on too often";
        Err(Error::new(ErrorKind::NotSent, Executed::No, "SSUBSCRIBE", what))
    }

    async fn client(&self, open: &mut HashMap<Server, Line>, server: &Server) -> Result<Client, Error> {
        if let Some(line) = open.get(server) {
            return Ok(line.client.clone());
        }
        let settings = self.servers.settings();
        let (named, cluster) = match &self.servers {
            Servers::Cluster(cluster) => (Some(server), Some(Arc::downgrade(cluster))),
            Servers::One(_) => (None, None),
        };
        let client = settings.client(named)?;
        settings.init(&client).await?;
        let ear =
            Ear { channels: self.channels.clone(), server: server.clone(), client: client.clone(), cluster };
        let listening = self.runtime.spawn(ear.listen());
        let line = Line { client: client.clone(), listening, runtime: self.runtime.clone() };
        open.insert(server.clone(), line);
        Ok(client)
    }

    /// Takes every channel whose slot has another owner now to that owner; says whether all are there.
    async fn move_channels(&self, cluster: &Cluster) -> bool {
        let mut open = self.open.lock().await;
        let mut all = true;
        for (name, slot) in self.channels.misplaced(|slot| cluster.known_server_of(Some(slot))) {
            let placed = tokio::time::timeout(FOLLOW, self.place(&mut open, &name, slot, FOLLOW)).await;
            all &= matches!(placed, Ok(Ok(())));
        }
        open.retain(|server, _| self.channels.any_at(server));
        all
    }

    /// Ends every subscription and its connection.
    pub(in crate::redis) async fn close(&self) {
        self.channels.close();
        for (_, line) in self.open.lock().await.drain() {
            // The error of a connection that is already gone is of no interest.
            let _ = line.client.quit().await;
        }
    }
}

/// A connection that carries subscriptions; ends when dropped.
struct Line {
    client: Client,
    listening: JoinHandle<()>,
    runtime: Handle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
        let client = self.client.clone();
        self.runtime.spawn(async move { client.quit().await });
    }
}

/// A reader that is taken off again unless its subscription was confirmed.
struct Entered<'a> {
    channels: &'a Channels,
    name: &'a str,
    stays: bool,
}

impl Entered<'_> {
    fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.channels.leave(self.name);
        }
    }
}

/// Moves channels whenever the slot map has changed, until the handle is gone.
async fn follow(lines: Weak<Lines>, mut changes: watch::Receiver<()>) {
    let mut pause = REFRESH_EVERY;
    loop {
        let changed = tokio::time::timeout(pause, changes.changed()).await;
        let Some(lines) = lines.upgrade() else { return };
        let Servers::Cluster(cluster) = &lines.servers else { return };
        if changed.is_err() {
            // What it finds wakes this loop again.
            cluster.read_map_soon();
        }
        pause = if lines.move_channels(cluster).await { REFRESH_EVERY } else { FOLLOW };
    }
}

/// What listens to one connection.
struct Ear {
    channels: Arc<Channels>,
    server: Server,
    client: Client,
    cluster: Option<Weak<Cluster>>,
}

impl Ear {
    /// Hands on what the connection hears, until it is closed.
    async fn listen(self) {
        let mut messages = self.client.message_rx();
        let (mut reconnects, mut errors) = (self.client.reconnect_rx(), self.client.error_rx());
        let mut is_down = false;
        loop {
            tokio::select! {
                biased;
                Ok(_) | Err(RecvError::Lagged(_)) = reconnects.recv() => is_down = true,
                Ok(_) | Err(RecvError::Lagged(_)) = errors.recv() => is_down = true,
                message = messages.recv() => match message {
                    Ok(message) => {
                        let payload = message.value.into_bytes().unwrap_or_default();
                        self.channels.deliver(&message.channel, &self.server, payload);
                    }
                    Err(RecvError::Lagged(_)) => self.channels.missed_at(&self.server),
                    Err(RecvError::Closed) => return,
                },
                () = tokio::time::sleep(SEEK_EVERY), if is_down => {}
            }
            if is_down {
                is_down = !self.recover().await;
            }
        }
    }

    /// Subscribes to everything again over a connection made anew; says whether that is done.
    async fn recover(&self) -> bool {
        if !self.client.is_connected() || !self.subscribe_again().await {
            // A dead node stays dead: the map says who has its slots now, and `follow` goes there.
            if let Some(cluster) = self.cluster.as_ref().and_then(Weak::upgrade) {
                cluster.read_map_soon();
            }
            return false;
        }
        // Only now, so that whoever reads the state next and waits for a message has no gap.
        self.channels.missed_at(&self.server);
        true
    }

    async fn subscribe_again(&self) -> bool {
        for name in self.channels.at(&self.server) {
            let asked = tokio::time::timeout(FOLLOW, self.client.ssubscribe(name.as_str())).await;
            if !matches!(asked, Ok(Ok(()))) {
                return false;
            }
        }
        true
    }
}
