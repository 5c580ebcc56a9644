//! The channels that have readers, and where they are subscribed.

use super::Notice;
use bytes::Bytes;
use fred::types::config::Server;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Notices a reader may be behind before it is told that it missed some.
const BACKLOG: usize = 1_024;

/// Who reads what.
#[derive(Default)]
pub(super) struct Channels {
    by_name: Mutex<HashMap<String, Channel>>,
}

struct Channel {
    slot: u16,
    /// The node that confirmed the subscription last; `None` while the first one is asked.
    at: Option<Server>,
    readers: usize,
    notices: broadcast::Sender<Notice>,
}

/// What is left of a channel when a reader has gone.
pub(super) enum Left {
    Readers,
    Nobody { at: Option<Server> },
}

impl Channels {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more reader, and whether it is the first.
    pub(super) fn enter(&self, name: &str, slot: u16) -> (broadcast::Receiver<Notice>, bool) {
        let mut channels = self.lock();
        let channel = channels.entry(name.to_owned()).or_insert_with(|| Channel {
            slot,
            at: None,
            readers: 0,
            notices: broadcast::Sender::new(BACKLOG),
        });
        channel.readers += 1;
        (channel.notices.subscribe(), channel.readers == 1)
    }

    /// One reader less; the channel goes with its last.
    pub(super) fn leave(&self, name: &str) -> Left {
        let mut channels = self.lock();
        let Some(channel) = channels.get_mut(name) else { return Left::Nobody { at: None } };
        channel.readers -= 1;
        if channel.readers > 0 {
            return Left::Readers;
        }
        Left::Nobody { at: channels.remove(name).and_then(|channel| channel.at) }
    }

    /// Notes where a channel is subscribed now. If it was elsewhere before, its readers are told that
    /// they may have missed something.
    pub(super) fn settle(&self, name: &str, server: &Server) {
        let mut channels = self.lock();
        let Some(channel) = channels.get_mut(name) else { return };
        if channel.at.replace(server.clone()).is_some() {
            tell(channel, Notice::Missed);
        }
    }

    /// Hands a message that came from `server` to the channel's readers.
    ///
    /// A node that the channel is on its way to speaks before [`Channels::settle`]; what it says is
    /// left to the `Missed` that follows, which must come first. Before the first subscription is
    /// settled there is nothing that could have been missed.
    pub(super) fn deliver(&self, name: &str, server: &Server, message: Bytes) {
        let channels = self.lock();
        let Some(channel) = channels.get(name) else { return };
        if channel.at.as_ref().is_none_or(|at| at == server) {
            tell(channel, Notice::Message(message));
        }
    }

    /// Tells the readers of every channel at `server` that they may have missed something.
    pub(super) fn missed_at(&self, server: &Server) {
        for channel in self.lock().values().filter(|channel| channel.at.as_ref() == Some(server)) {
            tell(channel, Notice::Missed);
        }
    }

    /// The channels that are not where `owner` says their slot is.
    pub(super) fn misplaced(&self, owner: impl Fn(u16) -> Option<Server>) -> Vec<(String, u16)> {
        let elsewhere = |channel: &Channel| {
            channel.at.is_some()
                && owner(channel.slot).is_some_and(|owner| channel.at.as_ref() != Some(&owner))
        };
        let channels = self.lock();
        let moved = channels.iter().filter(|(_, channel)| elsewhere(channel));
        moved.map(|(name, channel)| (name.clone(), channel.slot)).collect()
    }

    /// The channels that are subscribed at `server`.
    pub(super) fn at(&self, server: &Server) -> Vec<String> {
        let channels = self.lock();
        let here = channels.iter().filter(|(_, channel)| channel.at.as_ref() == Some(server));
        here.map(|(name, _)| name.clone()).collect()
    }

    /// Whether any channel is at `server`.
    pub(super) fn any_at(&self, server: &Server) -> bool {
        self.lock().values().any(|channel| channel.at.as_ref() == Some(server))
    }

    /// Ends every subscription.
    pub(super) fn close(&self) {
        self.lock().clear();
    }
}

fn tell(channel: &Channel, notice: Notice) {
    // Without a reader there is nobody to tell.
    let _ = channel.notices.send(notice);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast::error::TryRecvError;

    #[test]
    fn missed_comes_before_anything_of_the_new_node() {
        let (old, new) = (Server::new("old", 1), Server::new("new", 2));
        let channels = Channels::default();
        let (mut notices, _) = channels.enter("c", 7);
        channels.deliver("c", &old, "1".into());
        channels.settle("c", &old);
        channels.deliver("c", &old, "2".into());
        for word in ["1", "2"] {
            assert_eq!(notices.try_recv().unwrap(), Notice::Message(word.into()));
        }
        channels.deliver("c", &new, "3".into());
        assert_eq!(notices.try_recv(), Err(TryRecvError::Empty), "the way to the new node is not over");
        channels.settle("c", &new);
        channels.deliver("c", &old, "4".into());
        channels.deliver("c", &new, "5".into());
        assert_eq!(notices.try_recv().unwrap(), Notice::Missed);
        assert_eq!(notices.try_recv().unwrap(), Notice::Message("5".into()));
        assert_eq!(notices.try_recv(), Err(TryRecvError::Empty), "the old node has no say any more");
    }
}
