//! One incarnation of a reader: its name, its lease, and what it holds.

use crate::job::JobId;
use crate::keys::Keys;
use redis_patterns_core::{BootInstant, Error, Key, Token};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A lease from its registration to its end. A reader that loses one starts another under a new
/// name: no name is ever used again, so a late command of the old one can hurt nobody.
#[derive(Debug)]
pub(crate) struct Session {
    incarnation: Token,
    processing: Key,
    lease: Duration,
    renewed: Mutex<BootInstant>,
    over: CancellationToken,
    table: Mutex<Table>,
    /// Whether the server can tell that this process is there.
    present: AtomicBool,
}

/// The jobs this process knows to hold.
#[derive(Debug, Default)]
struct Table {
    held: HashSet<JobId>,
    /// Jobs settled since an audit began, whose removal its answer may not show yet.
    settled: Option<HashSet<JobId>>,
}

impl Session {
    /// A session that has not been registered; its lease counts from now.
    pub(crate) fn new(keys: &Keys, lease: Duration) -> Result<Self, Error> {
        let incarnation = Token::random()?;
        let processing = keys.processing(incarnation.as_str());
        Ok(Self {
            incarnation,
            processing,
            lease,
            renewed: Mutex::new(BootInstant::now()),
            over: CancellationToken::new(),
            table: Mutex::default(),
            present: AtomicBool::new(false),
        })
    }

    pub(crate) fn incarnation(&self) -> &str {
        self.incarnation.as_str()
    }

    pub(crate) fn processing(&self) -> &Key {
        &self.processing
    }

    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    /// The lease runs from the moment the heartbeat was sent, so it ends here before it does there.
    pub(crate) fn renew(&self, sent: BootInstant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).remaining_of(self.lease)
    }

    pub(super) fn set_present(&self, present: bool) {
        self.present.store(present, Ordering::Release);
    }

    pub(super) fn is_present(&self) -> bool {
        self.present.load(Ordering::Acquire)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled() || self.remaining().is_zero()
    }

    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    /// Ends when the session does.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// Ends the session when its lease has run out by this machine's clock.
    pub(crate) async fn fence(&self) {
        loop {
            let remaining = self.remaining();
            if remaining.is_zero() {
                return self.end();
            }
            tokio::select! {
                () = self.over.cancelled() => return,
                () = tokio::time::sleep(remaining) => {}
            }
        }
    }

    /// Notes a job as held; false if it was already.
    pub(super) fn hold(&self, id: JobId) -> bool {
        self.table().held.insert(id)
    }

    pub(super) fn settled(&self, id: JobId) {
        let mut table = self.table();
        table.held.remove(&id);
        if let Some(settled) = &mut table.settled {
            settled.insert(id);
        }
    }

    pub(super) fn holds(&self) -> usize {
        self.table().held.len()
    }

    /// From here to [`Session::is_orphan`], what is settled is remembered.
    pub(super) fn begin_audit(&self) {
        self.table().settled = Some(HashSet::new());
    }

    /// Whether nobody here holds a job that the server says is this reader's.
    pub(super) fn is_orphan(&self, id: JobId) -> bool {
        let table = self.table();
        !table.held.contains(&id) && !table.settled.as_ref().is_some_and(|settled| settled.contains(&id))
    }

    pub(super) fn end_audit(&self) {
        self.table().settled = None;
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
