//! Where a process hears that one of its waiters was given a lock.

use crate::claim::HolderToken;
use crate::error::Error;
use crate::keys::LockKeys;
use redis_patterns_core::{Key, Notice, Redis, Subscription};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{OnceCell, mpsc};
use tokio::task::AbortHandle;

/// What a waiter hears: it is to ask again. A message may be late, so nothing in it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News;

/// The inboxes of one handle, one for each lock that somebody waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inboxes(Arc<Mutex<HashMap<Key, Weak<Inbox>>>>);

/// The subscription that all waiters of one lock in this process share; ends with the last.
#[derive(Debug, Default)]
struct Inbox {
    waiters: Mutex<HashMap<String, mpsc::UnboundedSender<News>>>,
    listening: OnceCell<Listening>,
}

#[derive(Debug)]
struct Listening(AbortHandle);

/// A place in an inbox.
#[derive(Debug)]
pub(crate) struct Waiter {
    token: String,
    inbox: Arc<Inbox>,
    news: mpsc::UnboundedReceiver<News>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inboxes {
    /// Whether somebody in this process waits for the lock already.
    pub(crate) fn is_open(&self, keys: &LockKeys) -> bool {
        lock(&self.0).get(&keys.channel).is_some_and(|inbox| inbox.strong_count() > 0)
    }

    /// A place for `token`; when this returns the server has confirmed the subscription.
    pub(crate) async fn join(
        &self,
        redis: &Redis,
        keys: &LockKeys,
        token: &HolderToken,
    ) -> Result<Waiter, Error> {
        let (sender, news) = mpsc::unbounded_channel();
        let inbox = self.open(&keys.channel);
        lock(&inbox.waiters).insert(token.as_str().to_owned(), sender);
        let waiter = Waiter { token: token.as_str().to_owned(), inbox, news };
        let listen = async || {
            let subscription = redis.subscribe(&keys.channel).await?;
            let task = tokio::spawn(listen(subscription, Arc::downgrade(&waiter.inbox)));
            Ok::<_, Error>(Listening(task.abort_handle()))
        };
        waiter.inbox.listening.get_or_try_init(listen).await?;
        Ok(waiter)
    }

    fn open(&self, channel: &Key) -> Arc<Inbox> {
        let mut inboxes = lock(&self.0);
        if let Some(inbox) = inboxes.get(channel).and_then(Weak::upgrade) {
            return inbox;
        }
        inboxes.retain(|_, inbox| inbox.strong_count() > 0);
        let inbox = Arc::new(Inbox::default());
        inboxes.insert(channel.clone(), Arc::downgrade(&inbox));
        inbox
    }
}

/// Hands messages to waiters until the last of them is gone or the handle is closed.
async fn listen(mut subscription: Subscription, inbox: Weak<Inbox>) {
    while let Ok(notice) = subscription.next().await {
        let Some(inbox) = inbox.upgrade() else { return };
        let waiters = lock(&inbox.waiters);
        let whom = match &notice {
            Notice::Message(message) => match addressee(message) {
                Some(whom) => whom,
                None => continue,
            },
            Notice::Missed => EVERYBODY,
        };
        // A token may be of another process, or of a waiter that has given up and says so itself; one
        // that is being dropped gives back what it was given.
        if whom == EVERYBODY {
            for waiter in waiters.values() {
                let _ = waiter.send(News);
            }
        } else if let Some(waiter) = waiters.get(whom) {
            let _ = waiter.send(News);
        }
    }
}

const EVERYBODY: &str = "*";

/// `token:fence` is for who was given the lock; `token` or `*` for who is to ask again.
fn addressee(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(message).ok()?.split(':').next()
}

impl Waiter {
    /// The next news. Cancel safe. After a closed handle there is none any more.
    pub(crate) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        lock(&self.inbox.waiters).remove(&self.token);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}
