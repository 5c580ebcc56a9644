//! Sharded pub/sub over one connection that all subscriptions share.

use super::{Redis, classify};
use crate::args::Args;
use crate::error::{Error, ErrorKind, Executed};
use crate::key::Key;
use crate::redis::wire::Request;
use bytes::Bytes;
use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::Message;
use fred::types::config::Server;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast};

impl Redis {
    /// Tells every subscriber of `channel`; answers how many heard it on the node that was asked.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the message may go out.
    ///
    /// # If the reply is lost
    ///
    /// The message may have gone out. Messages are hints: who missed one reads the state instead.
    pub async fn publish(&self, channel: &Key, message: impl AsRef<[u8]>) -> Result<u64, Error> {
        self.command("SPUBLISH", &[channel], &Args::new().bytes(message)).await
    }

    /// Subscribes to `channel`; when this returns, the server has confirmed it, so a state read
    /// afterwards and the messages that follow leave no gap.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`] and the like: the first subscription opens a connection, which all share.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn subscribe(&self, channel: &Key) -> Result<Subscription, Error> {
        self.refuse_if_closed("SSUBSCRIBE")?;
        let hub = self.shared.hub.get_or_try_init(|| Hub::connect(self)).await?;
        hub.subscribe(channel, self.deadline).await
    }
}

/// What a subscription hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A message.
    Message(Bytes),
    /// Messages may have been lost: the connection was made anew or this reader was too slow.
    /// Whoever waits for a change must read the state again.
    Missed,
}

/// The connection that carries all subscriptions of a handle.
pub(super) struct Hub {
    client: SubscriberClient,
    /// How many subscriptions each channel has; the lock is held over the server's confirmation so
    /// that a last reader who leaves cannot undo a first one who comes.
    readers: Arc<Mutex<HashMap<String, usize>>>,
    runtime: Handle,
}

impl Hub {
    pub(super) async fn connect(redis: &Redis) -> Result<Self, Error> {
        let settings = redis.shared.servers.settings();
        let client = settings.subscriber()?;
        settings.init(&client).await?;
        let hub = Self { client, readers: Arc::default(), runtime: redis.shared.runtime.clone() };
        // Subscribes to everything again after a reconnect.
        hub.client.manage_subscriptions();
        Ok(hub)
    }

    pub(super) async fn subscribe(&self, channel: &Key, deadline: Duration) -> Result<Subscription, Error> {
        // Listening starts before the server confirms, so that the first message is not missed.
        let messages = self.client.message_rx();
        let reconnects = self.client.reconnect_rx();
        let name = channel.as_str().to_owned();
        let mut readers = self.readers.lock().await;
        if !readers.contains_key(&name) {
            let asked = tokio::time::timeout(deadline, self.client.ssubscribe(name.as_str())).await;
            let timed_out = fred::error::Error::new(fred::error::ErrorKind::Timeout, "");
            asked.unwrap_or(Err(timed_out)).map_err(|error| {
                let request = Request::Keyless { name: "SSUBSCRIBE", args: &Args::new() };
                classify::call(request, deadline, error)
            })?;
        }
        *readers.entry(name.clone()).or_default() += 1;
        drop(readers);
        let leave = Leave {
            name,
            client: self.client.clone(),
            readers: self.readers.clone(),
            runtime: self.runtime.clone(),
        };
        Ok(Subscription { messages, reconnects, leave })
    }

    pub(super) async fn close(&self) {
        // The error of a connection that is already gone is of no interest.
        let _ = self.client.quit().await;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.quit().await });
    }
}

/// Messages of one channel, from [`Redis::subscribe`]. Dropping it unsubscribes.
pub struct Subscription {
    messages: broadcast::Receiver<Message>,
    reconnects: broadcast::Receiver<Server>,
    leave: Leave,
}

impl Subscription {
    /// The next message, or that some may have been missed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the handle is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            tokio::select! {
                biased;
                reconnected = self.reconnects.recv() => match reconnected {
                    Ok(_) | Err(RecvError::Lagged(_)) => return Ok(Notice::Missed),
                    Err(RecvError::Closed) => return Err(closed()),
                },
                message = self.messages.recv() => match message {
                    Ok(message) if *message.channel == *self.leave.name => {
                        return Ok(Notice::Message(message.value.into_bytes().unwrap_or_default()));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return Ok(Notice::Missed),
                    Err(RecvError::Closed) => return Err(closed()),
                },
            }
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, Executed::No, "SSUBSCRIBE", "the handle was closed")
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("channel", &self.leave.name).finish_non_exhaustive()
    }
}

/// Takes one reader off the channel, and the channel off the server with the last one.
struct Leave {
    name: String,
    client: SubscriberClient,
    readers: Arc<Mutex<HashMap<String, usize>>>,
    runtime: Handle,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let (name, client, readers) =
            (std::mem::take(&mut self.name), self.client.clone(), self.readers.clone());
        self.runtime.spawn(async move {
            let mut readers = readers.lock().await;
            let Some(count) = readers.get_mut(&name) else { return };
            *count -= 1;
            if *count == 0 {
                readers.remove(&name);
                // A channel that stays subscribed costs a message nobody reads, nothing more.
                let _ = client.sunsubscribe(name.as_str()).await;
            }
        });
    }
}
