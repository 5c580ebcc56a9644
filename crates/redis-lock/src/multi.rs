//! Several locks at once.

use crate::error::{Error, Lost};
use crate::fence::FencingToken;
use crate::guard::{LockGuard, Released};
use crate::hold::run_while;
use crate::locks::{Locks, TryLock};
use redis_patterns_core::BootInstant;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// Several locks that this process holds, each with a fence of its own; from [`Locks::lock_all`].
///
/// Dropping it frees all of them.
#[derive(Debug)]
#[must_use = "a guard that is dropped frees its locks"]
pub struct MultiGuard {
    guards: Vec<LockGuard>,
}

impl Locks {
    /// Takes the locks of all these names, waiting at most `patience` for all together. One after
    /// another, in the order of their bytes whatever the order here, so that two callers never wait
    /// for each other in a circle. Round trips as [`Locks::lock`], for each name.
    ///
    /// If one stays busy, those already taken are freed.
    ///
    /// # The first is held while the last is waited for
    ///
    /// Its lease runs, unless it is [renewed](crate::LockOptions::renewed_for_at_most).
    ///
    /// # Errors
    ///
    /// As [`Locks::lock`]; [`Error::Options`] if there is no name, or one is given twice.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was taken is freed.
    ///
    /// # If the reply is lost
    ///
    /// As [`Locks::lock`].
    ///
    /// ```no_run
    /// # async fn example(locks: redis_lock::Locks) -> Result<(), redis_lock::Error> {
    /// use std::time::Duration;
    ///
    /// let names = ["account:7", "account:2"];
    /// if let Some(both) = locks.lock_all(&names, Duration::from_secs(2)).await?.acquired() {
    ///     let fences = both.fences()?; // in the order of `names`
    ///     assert_eq!(fences.len(), 2);
    ///     let _ = both.release().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lock_all<N: AsRef<[u8]>>(
        &self,
        names: &[N],
        patience: Duration,
    ) -> Result<TryLock<MultiGuard>, Error> {
        let started = BootInstant::now();
        let mut order: Vec<(usize, &[u8])> = names.iter().map(AsRef::as_ref).enumerate().collect();
        order.sort_by_key(|(_, name)| *name);
        if order.is_empty() || order.windows(2).any(|pair| pair[0].1 == pair[1].1) {
            return Err(Error::Options("the names are at least one, each given once"));
        }
        let mut taken = Vec::with_capacity(order.len());
        for (place, name) in order {
            match self.lock(name, started.remaining_of(patience)).await? {
                TryLock::Acquired(guard) => taken.push((place, guard)),
                TryLock::Busy { retry_after } => return Ok(TryLock::Busy { retry_after }),
            }
        }
        taken.sort_by_key(|(place, _)| *place);
        let all = MultiGuard { guards: taken.into_iter().map(|(_, guard)| guard).collect() };
        // The first may have been lost while the last was waited for.
        all.fences()?;
        Ok(TryLock::Acquired(all))
    }
}

impl MultiGuard {
    /// The guards, in the order of the names.
    pub fn guards(&self) -> &[LockGuard] {
        &self.guards
    }

    /// The guards, to be released one by one.
    #[must_use = "a guard that is dropped frees its lock"]
    pub fn into_guards(self) -> Vec<LockGuard> {
        self.guards
    }

    /// The fence of each lock, in the order of the names.
    ///
    /// # Errors
    ///
    /// [`Lost`] if one of them is lost.
    pub fn fences(&self) -> Result<Vec<FencingToken>, Lost> {
        self.guards.iter().map(|guard| guard.fence()).collect()
    }

    /// Waits until one of the locks is lost and says why.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> Lost {
        let mut all: Vec<_> = self.guards.iter().map(|guard| Box::pin(guard.lost())).collect();
        poll_fn(|context| {
            let ended = all.iter_mut().find_map(|lost| match lost.as_mut().poll(context) {
                Poll::Ready(reason) => Some(reason),
                Poll::Pending => None,
            });
            ended.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Runs `work` for as long as all of them are held, as [`Hold::run`](crate::Hold::run).
    ///
    /// # Errors
    ///
    /// [`Lost`] if one was lost before `work` ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work`.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Lost> {
        run_while(|| self.fences().map(drop), self.lost(), work).await
    }

    /// Frees all of them and says whether each was held to the end. One round trip for each.
    ///
    /// # Errors
    ///
    /// The first, as [`LockGuard::release`]; the others are freed all the same.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is left is freed by a background task.
    ///
    /// # If the reply is lost
    ///
    /// As [`LockGuard::release`].
    pub async fn release(self) -> Result<Released, Error> {
        let mut answer = Ok(Released::InTime);
        for guard in self.guards.into_iter().rev() {
            match (guard.release().await, &answer) {
                (Err(error), Ok(_)) => answer = Err(error),
                (Ok(Released::Lapsed), Ok(_)) => answer = Ok(Released::Lapsed),
                _ => {}
            }
        }
        answer
    }
}
