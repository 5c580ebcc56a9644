//! A connection of one's own, for commands that block or wait.

use super::Redis;
use super::route::Lines;
use super::wire::{Delivery, Request};
use crate::args::{Args, millis};
use crate::error::Error;
use crate::key::Key;
use crate::reply::FromReply;
use crate::script::{Script, Tags};
use fred::clients::Client;
use fred::interfaces::{ClientInterface, ClientLike};
use fred::types::config::Server;
use std::fmt;
use std::time::Duration;
use tokio::sync::Mutex;

/// A connection that nobody else uses.
///
/// On a shared connection a blocked command makes every other command wait behind it.
///
/// # A dropped future still takes effect
///
/// A blocking command whose future is dropped goes on at the server: a `BLMOVE` then moves a job
/// for nobody. Await it in a task that is never cancelled, and end it by [`Dedicated::unblock`].
pub struct Dedicated {
    redis: Redis,
    /// One to each node that was needed so far: to the only server, or to the owner of the slot.
    lines: Lines,
}

impl Dedicated {
    pub(super) fn new(redis: &Redis) -> Self {
        Self { redis: redis.clone(), lines: Lines::Own(Mutex::default()) }
    }

    /// Sends a command that may block for `block_for`, and answers `None` if it ended empty.
    ///
    /// `block_for` must be what the arguments say; the reply is awaited for that and the command
    /// deadline more, so that an empty end is never taken for a lost reply.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`](crate::ErrorKind). [`Dedicated::unblock`] makes it answer `None`.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: see the type.
    ///
    /// # If the reply is lost
    ///
    /// What the command moved was moved.
    pub async fn blocking<R: FromReply>(
        &self,
        name: &'static str,
        keys: &[&Key],
        args: &Args,
        block_for: Duration,
    ) -> Result<Option<R>, Error> {
        let deadline = block_for + self.redis.deadline;
        match self.deliver(Request::Command { name, keys, args }, deadline, true).await {
            Err(error) if error.code() == Some("UNBLOCKED") => Ok(None),
            reply => reply,
        }
    }

    /// As [`Redis::command`], on this connection.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`](crate::ErrorKind).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future does not take back what was sent.
    ///
    /// # If the reply is lost
    ///
    /// The command may have run. It is not sent again.
    pub async fn command<R: FromReply>(
        &self,
        name: &'static str,
        keys: &[&Key],
        args: &Args,
    ) -> Result<R, Error> {
        self.deliver(Request::Command { name, keys, args }, self.redis.deadline, false).await
    }

    /// As [`Redis::run`], on this connection.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`](crate::ErrorKind).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future does not take back what was sent.
    ///
    /// # If the reply is lost
    ///
    /// The script may have run. It is not sent again.
    pub async fn run<R: FromReply>(&self, script: &Script, keys: &[&Key], args: &Args) -> Result<R, Error> {
        self.deliver(Request::Script { script, keys, args, tags: Tags::One }, self.redis.deadline, false)
            .await
    }

    /// Waits until `replicas` replicas have what this connection wrote to the node of `key`, or
    /// until `timeout`; answers how many have it.
    ///
    /// Fewer than asked means that a failover may lose the write. As many as asked makes that
    /// rarer, not impossible: another replica may be promoted.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`](crate::ErrorKind).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn wait_for_replicas(&self, key: &Key, replicas: u32, timeout: Duration) -> Result<u32, Error> {
        let args = Args::new().int(replicas.into()).int(millis(timeout));
        let request = Request::Keyless { name: "WAIT", args: &args };
        self.send(request, Some(key.slot()), timeout + self.redis.deadline, true).await
    }

    /// Ends the blocking command that is under way, as if its time were over; says whether there
    /// was one.
    ///
    /// It ends what has reached the server: a command that is still on its way there blocks all
    /// the same, so ask again until it has ended.
    ///
    /// # Errors
    ///
    /// As [`Redis::keyless`](super::Redis::keyless). If the server cannot be reached, the command
    /// ends with its connection.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn unblock(&self) -> Result<bool, Error> {
        let mut ended = false;
        for (server, client) in self.clients().await {
            for id in client.connection_ids().into_values() {
                let args = Args::new().word("UNBLOCK").int(id);
                ended |= self.redis.ask_node::<bool>(&server, "CLIENT", &args).await?;
            }
        }
        Ok(ended)
    }

    async fn clients(&self) -> Vec<(Server, Client)> {
        match &self.lines {
            Lines::Own(clients) => {
                clients.lock().await.iter().map(|(server, client)| (server.clone(), client.clone())).collect()
            }
            Lines::Shared => Vec::new(),
        }
    }

    async fn deliver<R: FromReply>(
        &self,
        request: Request<'_>,
        deadline: Duration,
        blocking: bool,
    ) -> Result<R, Error> {
        let slot = request.check()?;
        self.send(request, slot, deadline, blocking).await
    }

    async fn send<R: FromReply>(
        &self,
        request: Request<'_>,
        slot: Option<u16>,
        deadline: Duration,
        blocking: bool,
    ) -> Result<R, Error> {
        let operation = request.operation();
        self.redis.refuse_if_closed(operation)?;
        let how = Delivery::within(deadline).blocking(blocking);
        let value = self.redis.shared.servers.send(&self.lines, request, slot, how).await?;
        R::from_reply(value)
            .ok_or_else(|| Error::reply(operation, "the reply has another shape than expected"))
    }
}

impl fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedicated").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl Drop for Dedicated {
    fn drop(&mut self) {
        let Lines::Own(clients) = &mut self.lines else { return };
        for (_, client) in std::mem::take(clients.get_mut()) {
            // QUIT waits behind a blocked command, so the block is ended first.
            self.redis.shared.runtime.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_secs(1), client.unblock_self(None)).await;
                client.quit().await
            });
        }
    }
}
