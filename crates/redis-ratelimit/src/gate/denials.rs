//! Denials that need not be asked for again.

use crate::decision::Decision;
use redis_patterns_core::BootInstant;
use std::hash::{BuildHasher, RandomState};
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A subject longer than this is asked for each time, so that no id fills the memory.
const LONGEST_SUBJECT: usize = 256;

/// For each place at most one subject, the newest: bounded, and nothing to clean up.
#[derive(Debug)]
pub(super) struct Denials {
    hasher: RandomState,
    places: Box<[Mutex<Option<Denial>>]>,
}

#[derive(Debug)]
struct Denial {
    subject: Box<[u8]>,
    /// What costs as much or more is denied too.
    cost: NonZeroU64,
    /// When Redis was asked, which is before it counted the wait: so none is too long.
    asked: BootInstant,
    decision: Decision,
}

impl Denials {
    pub(super) fn new(places: NonZeroUsize) -> Self {
        let places = (0..places.get()).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), places }
    }

    /// The denial that still holds for a request of this cost.
    pub(super) fn of(&self, subject: &[u8], cost: NonZeroU64) -> Option<Decision> {
        let place = self.place(subject);
        let denial = place.as_ref().filter(|denial| *denial.subject == *subject && cost >= denial.cost)?;
        denial.decision.still_denied_after(denial.asked.elapsed())
    }

    /// Keeps a denial, unless one of a smaller cost still holds.
    pub(super) fn keep(&self, subject: &[u8], cost: NonZeroU64, asked: BootInstant, decision: &Decision) {
        if subject.len() > LONGEST_SUBJECT {
            return;
        }
        let mut place = self.place(subject);
        let smaller = place.as_ref().is_some_and(|denial| {
            *denial.subject == *subject
                && denial.cost < cost
                && denial.decision.still_denied_after(denial.asked.elapsed()).is_some()
        });
        if !smaller {
            *place = Some(Denial { subject: subject.into(), cost, asked, decision: decision.clone() });
        }
    }

    /// Asks Redis again: something was given back.
    pub(super) fn forget(&self, subject: &[u8]) {
        let mut place = self.place(subject);
        if place.as_ref().is_some_and(|denial| *denial.subject == *subject) {
            *place = None;
        }
    }

    fn place(&self, subject: &[u8]) -> MutexGuard<'_, Option<Denial>> {
        let place = self.hasher.hash_one(subject) as usize % self.places.len();
        self.places[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
