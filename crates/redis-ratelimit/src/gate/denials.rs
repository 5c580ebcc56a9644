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
    places: Box<[Mutex<Place>]>,
}

#[derive(Debug, Default)]
struct Place {
    denial: Option<Denial>,
    /// When units came back last, to whomever of this place: an answer asked for before may not know.
    came_back: Option<BootInstant>,
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
        let denial =
            place.denial.as_ref().filter(|denial| *denial.subject == *subject && cost >= denial.cost)?;
        denial.decision.still_denied_after(denial.asked.elapsed())
    }

    /// Keeps a denial, unless one of a smaller cost still holds, or units came back since it was asked for.
    pub(super) fn keep(&self, subject: &[u8], cost: NonZeroU64, asked: BootInstant, decision: &Decision) {
        if subject.len() > LONGEST_SUBJECT {
            return;
        }
        let mut place = self.place(subject);
        let smaller = place.denial.as_ref().is_some_and(|denial| {
            *denial.subject == *subject
                && denial.cost < cost
                && denial.decision.still_denied_after(denial.asked.elapsed()).is_some()
        });
        let outdated = place.came_back.is_some_and(|at| asked <= at);
        if !smaller && !outdated {
            place.denial = Some(Denial { subject: subject.into(), cost, asked, decision: decision.clone() });
        }
    }

    /// Asks Redis again: something was given back.
    pub(super) fn forget(&self, subject: &[u8]) {
        let mut place = self.place(subject);
        place.came_back = Some(BootInstant::now());
        place.denial.take_if(|denial| *denial.subject == *subject);
    }

    fn place(&self, subject: &[u8]) -> MutexGuard<'_, Place> {
        let place = self.hasher.hash_one(subject) as usize % self.places.len();
        self.places[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{PolicyState, Source};
    use crate::options::FixedWindow;
    use std::time::Duration;

    /// The reply was on its way while units came back.
    #[test]
    fn a_denial_asked_for_before_units_came_back_is_not_kept() {
        let (denials, hour) = (Denials::new(NonZeroUsize::MIN), Duration::from_secs(3_600));
        let policy = FixedWindow::new("t", NonZeroU64::MIN, hour).unwrap().into();
        let denied = Decision::new(Source::Redis, 0, vec![PolicyState::unknown(&policy, hour)]);
        let asked = BootInstant::now();
        denials.forget(b"ann");
        denials.keep(b"ann", NonZeroU64::MIN, asked, &denied);
        assert!(denials.of(b"ann", NonZeroU64::MIN).is_none());
        denials.keep(b"ann", NonZeroU64::MIN, BootInstant::now(), &denied);
        assert!(denials.of(b"ann", NonZeroU64::MIN).is_some());
    }
}
