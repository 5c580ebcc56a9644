//! Commands and scripts: one send each, within one deadline.

use super::Redis;
use super::route::{Lines, Servers};
use super::wire::{Delivery, Request};
use crate::args::Args;
use crate::backoff::Backoff;
use crate::error::Error;
use crate::key::Key;
use crate::reply::{FromReply, Value};
use crate::script::{Script, Tags};
use crate::telemetry;
use fred::types::config::Server;
use std::time::{Duration, Instant};
use tracing::Instrument as _;

/// Waits between tries of what certainly did not run: short, since the deadline bounds them.
const UNSENT: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));

impl Redis {
    /// Runs a script on the node of its keys.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`](crate::ErrorKind); [`Error::executed`] says whether the script may have run.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future does not take back what was sent.
    ///
    /// # If the reply is lost
    ///
    /// The script may have run. It is not sent again.
    pub async fn run<R: FromReply>(&self, script: &Script, keys: &[&Key], args: &Args) -> Result<R, Error> {
        self.deliver(Request::Script { script, keys, args, tags: Tags::One }).await
    }

    /// As [`Redis::run`], over keys that do not belong together, for a batch: on a single server they
    /// may have any tags, in a [cluster](Redis::is_cluster) they must share a slot all the same.
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
    pub async fn run_batch<R: FromReply>(
        &self,
        script: &Script,
        keys: &[&Key],
        args: &Args,
    ) -> Result<R, Error> {
        let tags = if self.is_cluster() { Tags::One } else { Tags::Any };
        self.deliver(Request::Script { script, keys, args, tags }).await
    }

    /// Whether the keys of one script must share a slot.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.shared.servers, Servers::Cluster(_))
    }

    /// Sends `NAME keys.. args..` to the node of the keys.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`](crate::ErrorKind); [`Error::executed`] says whether the command may have run.
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
        self.deliver(Request::Command { name, keys, args }).await
    }

    /// Sends `NAME args..`, a command without keys, to any node.
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
    pub async fn keyless<R: FromReply>(&self, name: &'static str, args: &Args) -> Result<R, Error> {
        self.deliver(Request::Keyless { name, args }).await
    }

    async fn deliver<R: FromReply>(&self, request: Request<'_>) -> Result<R, Error> {
        let operation = request.operation();
        let slot = request.check()?;
        self.refuse_if_closed(operation)?;
        let _under_way = self.shared.work.token();
        let span = tracing::debug_span!(
            target: telemetry::TARGET, telemetry::SPAN_CALL,
            db.system.name = telemetry::DB_SYSTEM, db.operation.name = operation
        );
        let value = self.send_until_deadline(request, slot).instrument(span).await?;
        R::from_reply(value)
            .ok_or_else(|| Error::reply(operation, "the reply has another shape than expected"))
    }

    /// Sends a command without keys to one node.
    pub(super) async fn ask_node<R: FromReply>(
        &self,
        server: &Server,
        name: &'static str,
        args: &Args,
    ) -> Result<R, Error> {
        self.refuse_if_closed(name)?;
        let how = Delivery::within(self.deadline);
        let value = self.shared.servers.send_to(server, Request::Keyless { name, args }, how).await?;
        R::from_reply(value).ok_or_else(|| Error::reply(name, "the reply has another shape than expected"))
    }

    async fn send_until_deadline(&self, request: Request<'_>, slot: Option<u16>) -> Result<Value, Error> {
        let how = Delivery::within(self.deadline);
        let mut tries = 0;
        loop {
            let error = match self.shared.servers.send(&Lines::Shared, request, slot, how).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let wait = UNSENT.delay(tries);
            if !error.is_retry_safe() || Instant::now() + wait >= how.until {
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(wait).await;
        }
    }
}
