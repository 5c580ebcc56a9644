//! From a request to the client that serves it, with redirections followed.

use super::cluster::{Cluster, redirect_of};
use super::settings::Settings;
use super::slots::Redirect;
use super::wire::{self, Delivery, Failure, Request};
use crate::args::Args;
use crate::error::{Error, ErrorKind, Executed};
use crate::reply::Value;
use fred::clients::{Client, Pool};
use fred::types::config::Server;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The most redirections of one request: a slot that is passed on more often is being fought over.
const MAX_REDIRECTS: u32 = 5;

/// The servers of a handle.
#[derive(Clone)]
pub(super) enum Servers {
    /// One server, or the primary that the Sentinels name.
    One(Pool),
    /// The primaries of a cluster.
    Cluster(Arc<Cluster>),
}

/// The connections a request may use.
pub(super) enum Lines {
    /// Those that all tasks share.
    Shared,
    /// One's own, one to each node that was needed so far.
    Own(Mutex<HashMap<Server, Client>>),
}

impl Servers {
    pub(super) fn settings(&self) -> Settings {
        match self {
            Self::One(pool) => Settings::of(pool.next()),
            Self::Cluster(cluster) => cluster.settings().clone(),
        }
    }

    async fn target(&self, slot: Option<u16>, request: Request<'_>, until: Instant) -> Result<Server, Error> {
        // The only server there is; its name is not looked at.
        let Self::Cluster(cluster) = self else { return Ok(Server::new("", 0)) };
        match cluster.known_server_of(slot) {
            Some(server) => Ok(server),
            None => within(until, request, cluster.server_of(slot)).await,
        }
    }

    /// The node that serves `slot`, looked for during `deadline` at most.
    pub(super) async fn target_within(&self, slot: u16, deadline: Duration) -> Result<Server, Error> {
        let request = Request::Keyless { name: "SSUBSCRIBE", args: &Args::new() };
        self.target(Some(slot), request, Instant::now() + deadline).await
    }

    async fn client(
        &self,
        server: &Server,
        lines: &Lines,
        request: Request<'_>,
        until: Instant,
    ) -> Result<Client, Error> {
        match (self, lines) {
            (Self::One(pool), Lines::Shared) => Ok(pool.next().clone()),
            (Self::Cluster(cluster), Lines::Shared) => match cluster.open_client(server) {
                Some(client) => Ok(client),
                None => within(until, request, cluster.shared_client(server)).await,
            },
            (_, Lines::Own(clients)) => within(until, request, self.client_among(clients, server)).await,
        }
    }

    async fn client_among(
        &self,
        clients: &Mutex<HashMap<Server, Client>>,
        server: &Server,
    ) -> Result<Client, Error> {
        let mut clients = clients.lock().await;
        if let Some(client) = clients.get(server) {
            return Ok(client.clone());
        }
        let client = self.own_client(server).await?;
        clients.insert(server.clone(), client.clone());
        Ok(client)
    }

    async fn own_client(&self, server: &Server) -> Result<Client, Error> {
        match self {
            Self::One(_) => {
                let settings = self.settings();
                let client = settings.client(None)?;
                settings.init(&client).await?;
                Ok(client)
            }
            Self::Cluster(cluster) => cluster.own_client(server).await,
        }
    }

    /// Sends the request to the node that serves it, and where that node points.
    pub(super) async fn send(
        &self,
        lines: &Lines,
        request: Request<'_>,
        slot: Option<u16>,
        how: Delivery,
    ) -> Result<Value, Error> {
        let mut server = self.target(slot, request, how.until).await?;
        let mut asking = false;
        for _ in 0..MAX_REDIRECTS {
            let client = match self.client(&server, lines, request, how.until).await {
                Ok(client) => client,
                Err(error) => return Err(self.suspect(error)),
            };
            let failure = match wire::send_once(&client, &server, request, how.asking(asking)).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match (redirect_of(&failure), self) {
                (Some(Redirect::Moved(to)), Self::Cluster(cluster)) => {
                    cluster.learn(slot, to.clone());
                    (server, asking) = (to.clone(), false);
                }
                (Some(Redirect::Ask(to)), Self::Cluster(_)) => (server, asking) = (to.clone(), true),
                _ => return Err(self.suspect(failure.into_error())),
            }
        }
        let what = "the cluster passed the command on too often";
        Err(Error::new(ErrorKind::NotSent, Executed::No, request.operation(), what)
            .with_next("see CLUSTER NODES"))
    }

    /// Sends the request to one node, over a shared connection.
    pub(super) async fn send_to(
        &self,
        server: &Server,
        request: Request<'_>,
        how: Delivery,
    ) -> Result<Value, Error> {
        let client = self.client(server, &Lines::Shared, request, how.until).await?;
        wire::send_once(&client, server, request, how).await.map_err(Failure::into_error)
    }

    /// An error after which the slot map may no longer be true.
    fn suspect(&self, error: Error) -> Error {
        if let (Self::Cluster(cluster), true) = (self, error.is_passing()) {
            cluster.read_map_soon();
        }
        error
    }
}

/// Bounds the way to a connection by the request's deadline; nothing was sent while on it.
async fn within<T>(
    until: Instant,
    request: Request<'_>,
    way: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    // Boxed, as what is rare need not make the future of every call larger.
    match tokio::time::timeout_at(until.into(), Box::pin(way)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let what = "no connection to the node of the key within the deadline";
            Err(Error::new(ErrorKind::NotSent, Executed::No, request.operation(), what)
                .with_next("the client goes on trying; try again after a moment"))
        }
    }
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Redirect(_, error) | Self::Error(error) => error,
        }
    }
}
