//! What can be seen of a lock from outside.

use crate::fence::FencingToken;
use std::time::Duration;

/// The state of one lock at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Who holds it; `None` if nobody does.
    pub holder: Option<Holder>,
    /// How many wait in the queue, those included that died within the last seconds.
    pub waiting: u64,
}

/// A holder, seen from outside: its token stays its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The fence of its grant; what it is known by in logs and downstream.
    pub fence: FencingToken,
    /// What is left of its lease by the server's clock.
    pub lease_left: Duration,
}

/// What freeing a lock by force found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lock that another holder has by now was not freed"]
#[non_exhaustive]
pub enum Forced {
    /// It is free; its holder learns of it when it next extends, renews or releases.
    Freed,
    /// Nobody held it.
    FreeAlready,
    /// Another holder has it, under a higher fence; it keeps it.
    HeldByNewer,
}
