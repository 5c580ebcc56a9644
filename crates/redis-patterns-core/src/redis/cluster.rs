//! A cluster as one fred client per primary, with the redirections followed here.
//!
//! fred's own cluster client is not used for commands. On an `ASK` it waits for a reply that its
//! reader has already taken, and from then on answers nothing on any node (reproduced with fred
//! 10.1.0, test `a_slot_on_the_move_is_followed`); and one router for all nodes makes a dead
//! primary stall the healthy ones for about four seconds. A client per node has neither fault.

use super::settings::Settings;
use super::slots::{Redirect, SlotMap};
use super::wire::{self, Delivery, Failure, Request};
use crate::args::Args;
use crate::error::{Error, ErrorKind, Executed};
use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::config::Server;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, watch};

/// How long one node may take to tell the slot map before the next is asked.
const ASK_MAP_DEADLINE: Duration = Duration::from_millis(500);
/// The least time between two readings of the slot map: a failover takes seconds.
const MAP_INTERVAL: Duration = Duration::from_millis(100);

/// The nodes of a cluster and the map of their slots.
pub(super) struct Cluster {
    settings: Settings,
    seeds: Vec<Server>,
    connections: usize,
    runtime: Handle,
    map: RwLock<SlotMap>,
    nodes: Mutex<HashMap<Server, Arc<Node>>>,
    /// When the map was last read; the lock is held while it is read, so that one reads for all.
    last_read: tokio::sync::Mutex<Option<Instant>>,
    changes: watch::Sender<()>,
}

/// The connections to one node, made at the first use.
#[derive(Default)]
struct Node {
    clients: OnceCell<Vec<Client>>,
    next: AtomicUsize,
}

impl Node {
    /// One of the connected clients, each in its turn.
    fn pick(&self, clients: &[Client]) -> Client {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        clients[next % clients.len()].clone()
    }
}

impl Cluster {
    pub(super) fn new(settings: Settings, connections: usize, runtime: Handle) -> Self {
        let seeds = settings.config.server.hosts();
        Self {
            settings,
            seeds,
            connections,
            runtime,
            map: RwLock::default(),
            nodes: Mutex::default(),
            last_read: tokio::sync::Mutex::default(),
            changes: watch::Sender::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The node that serves `slot`, or any primary.
    pub(super) async fn server_of(&self, slot: Option<u16>) -> Result<Server, Error> {
        if let Some(server) = self.known_server_of(slot) {
            return Ok(server);
        }
        self.read_map().await?;
        self.known_server_of(slot).ok_or_else(|| {
            Error::new(
                ErrorKind::NotSent,
                Executed::No,
                "connect",
                "no node of the cluster serves the key's slot",
            )
            .with_next("see CLUSTER INFO: the cluster does not cover all slots")
        })
    }

    /// The same, as far as it is known without asking.
    pub(super) fn known_server_of(&self, slot: Option<u16>) -> Option<Server> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        match slot {
            Some(slot) => map.owner(slot).cloned(),
            None => fastrand::choice(map.primaries()),
        }
    }

    /// A client of `server` that all tasks share, if one was connected before.
    pub(super) fn open_client(&self, server: &Server) -> Option<Client> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes.get(server)?;
        node.clients.get().map(|clients| node.pick(clients))
    }

    /// A connected client of `server` that all tasks share.
    pub(super) async fn shared_client(&self, server: &Server) -> Result<Client, Error> {
        let node = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.entry(server.clone()).or_default().clone()
        };
        let clients = node.clients.get_or_try_init(|| self.connect(server)).await?;
        Ok(node.pick(clients))
    }

    async fn connect(&self, server: &Server) -> Result<Vec<Client>, Error> {
        let mut clients = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            clients.push(self.own_client(server).await?);
        }
        Ok(clients)
    }

    /// A connected client of `server` for one caller alone.
    pub(super) async fn own_client(&self, server: &Server) -> Result<Client, Error> {
        let client = self.settings.client(Some(server))?;
        self.settings.init(&client).await?;
        Ok(client)
    }

    /// Told each time the slot map may be another.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Believes a `MOVED` and reads the whole map behind it.
    pub(super) fn learn(self: &Arc<Self>, slot: Option<u16>, server: Server) {
        if let Some(slot) = slot {
            self.map.write().unwrap_or_else(PoisonError::into_inner).learn(slot, server);
            self.changes.send_replace(());
        }
        self.read_map_soon();
    }

    /// Reads the map in the background, since a failure may mean that a node has lost its slots.
    pub(super) fn read_map_soon(self: &Arc<Self>) {
        let cluster = self.clone();
        self.runtime.spawn(async move {
            // Whoever needs the map meets the same error, and reports it.
            let _ = cluster.read_map().await;
        });
    }

    /// Reads the slot map from the first node that answers, unless that was done a moment ago.
    pub(super) async fn read_map(&self) -> Result<(), Error> {
        let mut last_read = self.last_read.lock().await;
        if last_read.is_some_and(|time| time.elapsed() < MAP_INTERVAL) {
            return Ok(());
        }
        let mut candidates: Vec<Server> = {
            let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
            map.primaries().into_iter().collect()
        };
        fastrand::shuffle(&mut candidates);
        candidates.extend(self.seeds.iter().cloned());
        let mut outcome =
            Err(Error::new(ErrorKind::Config, Executed::No, "connect", "the URL names no node"));
        for server in candidates {
            outcome = self.read_map_from(&server).await;
            if outcome.is_ok() {
                *last_read = Some(Instant::now());
                break;
            }
        }
        outcome
    }

    async fn read_map_from(&self, server: &Server) -> Result<(), Error> {
        let late =
            || Error::new(ErrorKind::Timeout, Executed::No, "CLUSTER SLOTS", "a node did not answer in time");
        // The first connection may take what the connect deadline allows, later reads are quick.
        let client = self.shared_client(server);
        let client =
            tokio::time::timeout(self.settings.connect_deadline(), client).await.map_err(|_| late())??;
        let args = Args::new().word("SLOTS");
        let request = Request::Keyless { name: "CLUSTER", args: &args };
        let reply = wire::send_once(&client, server, request, Delivery::within(ASK_MAP_DEADLINE))
            .await
            .map_err(Failure::into_error)?;
        let map = SlotMap::parse(&reply, server).ok_or_else(|| {
            Error::reply("CLUSTER SLOTS", "the answer names no slots, or has a shape not known here")
        })?;
        self.forget_nodes_outside(&map);
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = map;
        self.changes.send_replace(());
        Ok(())
    }

    /// Ends the connections to nodes that serve no slot any more.
    fn forget_nodes_outside(&self, map: &SlotMap) {
        let primaries = map.primaries();
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|server, node| {
            let keep = primaries.contains(server);
            if !keep {
                self.quit(node);
            }
            keep
        });
    }

    fn quit(&self, node: &Node) {
        for client in node.clients.get().into_iter().flatten() {
            let client = client.clone();
            self.runtime.spawn(async move { client.quit().await });
        }
    }

    /// Ends every connection.
    pub(super) async fn close(&self) {
        let nodes: Vec<_> = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        for client in nodes.iter().flat_map(|(_, node)| node.clients.get().into_iter().flatten()) {
            // The error of a connection that is already gone is of no interest.
            let _ = client.quit().await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let nodes = std::mem::take(&mut *self.nodes.lock().unwrap_or_else(PoisonError::into_inner));
        nodes.values().for_each(|node| self.quit(node));
    }
}

/// What to do with the answer of one node.
pub(super) fn redirect_of(failure: &Failure) -> Option<&Redirect> {
    match failure {
        Failure::Redirect(redirect, _) => Some(redirect),
        Failure::Error(_) => None,
    }
}
