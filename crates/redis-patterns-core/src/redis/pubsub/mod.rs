//! Sharded pub/sub: one connection to each node that has a channel, shared by all subscriptions.

mod channels;
mod lines;

use super::Redis;
use crate::args::Args;
use crate::error::{Error, ErrorKind, Executed};
use crate::key::Key;
use bytes::Bytes;
pub(super) use lines::Lines;
use std::fmt;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

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
    /// [`ErrorKind::Connect`] and the like: the first subscription on a node opens a connection,
    /// which all others share.
    ///
    /// # After a failover
    ///
    /// The subscription follows its channel to the node that now serves it, and says
    /// [`Notice::Missed`] once it is there, before any message of that node.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn subscribe(&self, channel: &Key) -> Result<Subscription, Error> {
        self.refuse_if_closed("SSUBSCRIBE")?;
        let lines =
            self.shared.lines.get_or_init(|| Lines::new(&self.shared.servers, self.shared.runtime.clone()));
        let notices = lines.join(channel, self.deadline).await?;
        let leave = Leave { channel: channel.as_str().to_owned(), lines: lines.clone() };
        Ok(Subscription { notices, leave })
    }
}

/// What a subscription hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A message.
    Message(Bytes),
    /// Messages may have been lost: the connection was made anew, the channel went to another node, or
    /// this reader was too slow.
    /// Whoever waits for a change must read the state again.
    Missed,
}

/// Messages of one channel, from [`Redis::subscribe`]. Dropping it unsubscribes.
pub struct Subscription {
    notices: broadcast::Receiver<Notice>,
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
        match self.notices.recv().await {
            Ok(notice) => Ok(notice),
            Err(RecvError::Lagged(_)) => Ok(Notice::Missed),
            Err(RecvError::Closed) => {
                Err(Error::new(ErrorKind::Closed, Executed::No, "SSUBSCRIBE", "the handle was closed"))
            }
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("channel", &self.leave.channel).finish_non_exhaustive()
    }
}

/// Takes one reader off the channel.
struct Leave {
    channel: String,
    lines: Arc<Lines>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let (lines, channel) = (self.lines.clone(), std::mem::take(&mut self.channel));
        self.lines.runtime().spawn(async move { lines.leave(&channel).await });
    }
}
