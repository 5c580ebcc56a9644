//! A connection of one's own, for commands that block or wait.

use super::wire::{self, Delivery, Request};
use super::{Redis, classify};
use crate::args::{Args, millis};
use crate::error::Error;
use crate::key::Key;
use crate::reply::{FromReply, Value};
use crate::script::Script;
use fred::clients::Client;
use fred::interfaces::{ClientInterface, ClientLike};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Handle;

/// A connection that nobody else uses.
///
/// On a shared connection a blocked command makes every other command wait behind it.
///
/// # A dropped future still takes effect
///
/// A blocking command whose future is dropped goes on at the server: a `BLMOVE` then moves a job
/// for nobody. Await it in a task that is never cancelled, and end it by [`Dedicated::unblock`].
pub struct Dedicated {
    client: Client,
    deadline: Duration,
    runtime: Handle,
}

impl Dedicated {
    pub(super) async fn connect(redis: &Redis) -> Result<Self, Error> {
        let client = redis.any_client().clone_new();
        // Taken before the first await, so that a dropped future ends the client's tasks too.
        let dedicated = Self { client, deadline: redis.deadline, runtime: redis.shared.runtime.clone() };
        let limit = dedicated.client.connection_config().connection_timeout;
        match tokio::time::timeout(limit, dedicated.client.init()).await {
            Ok(Ok(_)) => Ok(dedicated),
            Ok(Err(error)) => Err(classify::connect("the server", limit, error)),
            Err(_) => {
                let error = fred::error::Error::new(fred::error::ErrorKind::Timeout, "");
                Err(classify::connect("the server", limit, error))
            }
        }
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
        let deadline = block_for + self.deadline;
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
        self.deliver(Request::Command { name, keys, args }, self.deadline, false).await
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
        self.deliver(Request::Script { script, keys, args }, self.deadline, false).await
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
        let how = Delivery { slot: Some(key.slot()), deadline: timeout + self.deadline, blocking: true };
        let request = Request::Keyless { name: "WAIT", args: &args };
        let value = wire::send_once(&self.client, request, how).await?;
        u32::from_reply(value).ok_or_else(|| Error::reply("WAIT", "the reply is not a number"))
    }

    /// Ends the blocking command that is under way, as if its time were over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotSent`](crate::ErrorKind::NotSent) if the server cannot be reached; the
    /// command then ends with its connection.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn unblock(&self) -> Result<(), Error> {
        let args = Args::new();
        let request = Request::Keyless { name: "CLIENT UNBLOCK", args: &args };
        let asked = tokio::time::timeout(self.deadline, self.client.unblock_self(None)).await;
        match asked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(classify::call(request, self.deadline, error)),
            Err(_) => {
                let error = fred::error::Error::new(fred::error::ErrorKind::Timeout, "");
                Err(classify::call(request, self.deadline, error))
            }
        }
    }

    async fn deliver<R: FromReply>(
        &self,
        request: Request<'_>,
        deadline: Duration,
        blocking: bool,
    ) -> Result<R, Error> {
        let how = Delivery { slot: request.check()?, deadline, blocking };
        let value: Value = wire::send_once(&self.client, request, how).await?;
        R::from_reply(value)
            .ok_or_else(|| Error::reply(request.operation(), "the reply has another shape than expected"))
    }
}

impl fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedicated").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Drop for Dedicated {
    fn drop(&mut self) {
        let client = self.client.clone();
        // QUIT waits behind a blocked command, so the block is ended first.
        self.runtime.spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(1), client.unblock_self(None)).await;
            client.quit().await
        });
    }
}
