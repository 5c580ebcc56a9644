//! What can be seen of a lock from outside.

use crate::fence::FencingToken;
use std::time::Duration;

/// The state of one lock at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Who holds it; `None` if nobody does.
    pub holder: Option<Holder>,
    /// How many wait in the queue, those included that died within the last seconds.
    pub waiting: u64,
    /// Who was made to give it up, the newest first: the last 16, for as long as the fence is
    /// remembered.
    pub revoked: Vec<Revocation>,
}

/// A holder, seen from outside: its token stays its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The fence of its grant; what it is known by in logs and downstream.
    pub fence: FencingToken,
    /// What it [calls itself](crate::LockOptions::label).
    pub label: Option<String>,
    /// How long ago its fence was issued, by the server's clock. Too short, or zero, only while that
    /// clock is behind the last fence.
    pub held_for: Duration,
    /// What is left of its lease by the server's clock.
    pub lease_left: Duration,
}

/// A hold that was ended by force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// The fence of the holder that had to go.
    pub fence: FencingToken,
    /// The label of the handle that did it.
    pub by: Option<String>,
    /// How long ago, by the server's clock.
    pub ago: Duration,
}

impl Revocation {
    /// Reads `fence:time in us:label`.
    pub(crate) fn parse(entry: &str, now_us: u64) -> Option<Self> {
        let mut parts = entry.splitn(3, ':');
        let fence = FencingToken::new(parts.next()?.parse().ok()?)?;
        let at_us: u64 = parts.next()?.parse().ok()?;
        let by = parts.next()?;
        Some(Self {
            fence,
            by: (!by.is_empty()).then(|| by.to_owned()),
            ago: Duration::from_micros(now_us.saturating_sub(at_us)),
        })
    }
}

/// What freeing a lock by force found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lock that another holder has by now was not freed"]
#[non_exhaustive]
pub enum Forced {
    /// It is free; its holder learns of it when it next extends, renews or releases.
    Freed {
        /// A fence above the holder's and below the next grant's: [seal](crate::FenceStore::seal) it,
        /// and the holder is refused downstream at once.
        above: FencingToken,
    },
    /// Nobody held it.
    FreeAlready,
    /// Another holder has it, under a higher fence; it keeps it.
    HeldByNewer,
}
