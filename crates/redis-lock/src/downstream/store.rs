//! The check itself, whatever system makes it.

use crate::error::Error;
use crate::fence::FencingToken;
use std::future::Future;

/// What a system that keeps the highest fence says of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a write that goes on after a stale verdict undoes a newer one"]
pub enum Verdict {
    /// It is the highest seen, or equal to it: its holder may write.
    Admitted,
    /// A higher one was seen: its holder has lost the lock and must not write.
    Stale {
        /// The highest seen.
        highest: FencingToken,
    },
}

impl Verdict {
    /// The rule: reject if the token is lower than the highest seen.
    ///
    /// ```
    /// use redis_lock::{FencingToken, Verdict};
    ///
    /// let fence = |number| FencingToken::new(number).unwrap();
    /// assert_eq!(Verdict::of(fence(7), None), Verdict::Admitted);
    /// assert_eq!(Verdict::of(fence(7), Some(fence(7))), Verdict::Admitted);
    /// assert_eq!(Verdict::of(fence(6), Some(fence(7))), Verdict::Stale { highest: fence(7) });
    /// ```
    pub fn of(fence: FencingToken, highest: Option<FencingToken>) -> Self {
        match highest {
            Some(highest) if fence < highest => Self::Stale { highest },
            _ => Self::Admitted,
        }
    }

    /// Whether the holder may write.
    #[must_use]
    pub fn is_admitted(self) -> bool {
        self == Self::Admitted
    }
}

/// A system that checks fences: a database, another service, a file server.
///
/// # Read, compare and keep in one atomic step
///
/// And in the same one as the write that the fence guards. Two statements apart, a late holder
/// slips in between.
pub trait FenceStore: Send + Sync {
    /// What can go wrong there.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Refuses every lower fence for `resource` from now on, unless a higher one was seen already.
    ///
    /// Done right after the lock is taken and before anything is read, it closes the gap in which
    /// a late holder could still write: until the new holder's first write the store knows nothing
    /// of it.
    ///
    /// # Errors
    ///
    /// Whatever the system says. The fence may have been kept; sealing again does no harm.
    fn seal(
        &self,
        resource: &str,
        fence: FencingToken,
    ) -> impl Future<Output = Result<Verdict, Self::Error>> + Send;
}

/// A failure to take a lock and seal its fence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError<E: std::error::Error + 'static> {
    /// The lock could not be taken, or was lost meanwhile.
    #[error(transparent)]
    Lock(#[from] Error),
    /// The store did not answer.
    #[error("lock: the fence could not be sealed at the store")]
    Store(#[source] E),
    /// The store has seen a higher fence, even after this one was raised above it: it is shared
    /// with locks of another namespace or name, or somebody else writes fences there.
    #[error("lock: the store has seen fence {highest}, which this lock did not issue")]
    Stale {
        /// The highest it has seen.
        highest: FencingToken,
    },
}
