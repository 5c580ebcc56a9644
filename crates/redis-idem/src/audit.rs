//! What became of each request, kept for longer than Redis keeps it.

use crate::durable::Author;
use async_trait::async_trait;
use std::error::Error as StdError;

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditEvent {
    /// A first attempt may do the work.
    Claimed,
    /// A later attempt may do the work: an earlier one was abandoned.
    TakenOver,
    /// The outcome was written in the transaction of the work: it commits with it or not at all.
    Recorded,
    /// Redis has the outcome.
    Completed,
    /// Redis had forgotten the outcome and got it from the durable store.
    Restored,
    /// The stored outcome was given to a caller.
    Replayed,
    /// A caller was refused, whose request has another fingerprint: the one in the entry.
    Mismatch,
    /// The attempt gave the request back: it had no effect.
    Released,
    /// The attempt gave up half way.
    Abandoned,
    /// Nobody knows what was done; the request does not run again by itself.
    InDoubt,
    /// The attempt ended after it had lost the request to another.
    Lost,
    /// Somebody settled a request in doubt.
    Resolved,
}

impl AuditEvent {
    const ALL: [Self; 12] = [
        Self::Claimed,
        Self::TakenOver,
        Self::Recorded,
        Self::Completed,
        Self::Restored,
        Self::Replayed,
        Self::Mismatch,
        Self::Released,
        Self::Abandoned,
        Self::InDoubt,
        Self::Lost,
        Self::Resolved,
    ];

    /// The name, as it stands in a trail: small letters and underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::TakenOver => "taken_over",
            Self::Recorded => "recorded",
            Self::Completed => "completed",
            Self::Restored => "restored",
            Self::Replayed => "replayed",
            Self::Mismatch => "mismatch",
            Self::Released => "released",
            Self::Abandoned => "abandoned",
            Self::InDoubt => "in_doubt",
            Self::Lost => "lost",
            Self::Resolved => "resolved",
        }
    }

    /// The event of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// A place that is only ever added to, told of each step of each request.
///
/// The module `sql` (feature `sqlx`) has one in Postgres and SQLite. Callers who are told to come
/// again ([`Begin::InProgress`](crate::Begin::InProgress)) and signs of life leave no entry.
///
/// # Nothing unrecorded
///
/// If [`begin`](crate::Idempotency::begin) cannot write its entry, nothing runs and nothing is replayed
/// ([`Error::Audit`](crate::Error::Audit)); so whoever wants a trail depends on it, for one write more
/// at each step.
///
/// # What a trail may lack
///
/// The entry of a step that was taken in Redis just before: what was done is not undone for it. The end of a claim is
/// an `Error::Audit` then, the HTTP layer answers what its handler did, and each such step is a warning and
/// counted ([`AUDIT_ENTRIES_LOST`](crate::telemetry::AUDIT_ENTRIES_LOST)). A process that dies in between
/// leaves the entry out unsaid. An entry that must not be missing belongs into the transaction of the
/// work: `sql::SqlRecords::audited`.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// Those of the store.
    async fn append(&self, event: AuditEvent, by: Author<'_>) -> Result<(), Box<dyn StdError + Send + Sync>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_found_by_its_name() {
        for event in AuditEvent::ALL {
            assert_eq!(AuditEvent::of_name(event.name()), Some(event));
        }
        assert_eq!(AuditEvent::of_name("deleted"), None);
    }
}
