//! Units of hot subjects, taken from Redis in chunks and spent here.
//!
//! A chunk is charged before any of it is spent, so the sum over all processes is what Redis admitted.
//! A unit may be spent up to `hold` after it was charged, and Redis counts it for as much longer.

use super::batches::no_answer;
use super::denials::Denials;
use crate::decision::{Decision, Source};
use crate::error::Error;
use crate::limiter::RateLimiter;
use crate::scripts::Ask;
use crate::telemetry;
use redis_patterns_core::BootInstant;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A server's milliseconds, rounded either way.
const ROUNDING: Duration = Duration::from_millis(2);

/// The leases of one gate and its clones.
#[derive(Debug)]
pub(super) struct Leases {
    limiter: RateLimiter,
    chunk: NonZeroU64,
    hold: Duration,
    places: RwLock<HashMap<Box<[u8]>, Arc<Place>>>,
    sweeper: Once,
    /// What has to know that units came back.
    denials: RwLock<Option<Arc<Denials>>>,
}

/// One subject.
#[derive(Debug, Default)]
struct Place {
    lease: RwLock<Option<Lease>>,
    /// Held by the one who asks Redis, for all who wait.
    last: Arc<Mutex<Option<Last>>>,
}

/// What Redis granted at once.
#[derive(Debug)]
struct Lease {
    left: AtomicU64,
    /// When Redis was asked, which is before it charged.
    asked: BootInstant,
    span: Duration,
    granted: Decision,
}

/// What those are told who waited while it was asked.
#[derive(Debug)]
struct Last {
    answered: BootInstant,
    /// The denial, and for what cost; without one there was no answer.
    denial: Option<(NonZeroU64, Decision)>,
}

impl Leases {
    /// Leases of what `limiter` admits, which is made to count units for longer.
    pub(super) fn new(limiter: &RateLimiter, chunk: NonZeroU64, hold: Duration) -> Result<Self, Error> {
        if hold < Duration::from_millis(1) {
            return Err(Error::Policy("a lease is held for at least a millisecond"));
        }
        let limiter = limiter.spent_within(hold)?;
        let (places, denials) = (RwLock::default(), RwLock::default());
        Ok(Self { limiter, chunk, hold, places, sweeper: Once::new(), denials })
    }

    /// The limiter that takes the chunks.
    pub(super) fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// The denials that do not hold any more when units are given back.
    pub(super) fn tell(&self, denials: &Arc<Denials>) {
        *self.denials.write().unwrap_or_else(PoisonError::into_inner) = Some(denials.clone());
    }

    /// Takes `cost` units of what is here.
    pub(super) fn spend(&self, subject: &[u8], cost: NonZeroU64) -> Option<Decision> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(subject)?.spend(cost)
    }

    /// Gets another chunk, unless somebody else just did; `None` if that failed, or took until the
    /// deadline, and nothing was charged for this request.
    pub(super) async fn refill(
        self: &Arc<Self>,
        limiter: &RateLimiter,
        subject: &[u8],
        cost: NonZeroU64,
    ) -> Result<Option<Decision>, Error> {
        let deadline = limiter.redis().deadline();
        self.sweeper.call_once(|| self.start_sweeper());
        let (place, started) = (self.place(subject), BootInstant::now());
        let Ok(last) = tokio::time::timeout(deadline, place.last.clone().lock_owned()).await else {
            return Ok(None);
        };
        if let Some(decision) = place.spend(cost) {
            telemetry::decided(&decision);
            return Ok(Some(decision));
        }
        if let Some(last) = last.as_ref().filter(|last| last.answered > started) {
            let Some((denied, denial)) = &last.denial else { return Ok(None) };
            let holds = denial.still_denied_after(last.answered.elapsed());
            if let Some(decision) = holds.filter(|_| cost >= *denied) {
                telemetry::decided(&decision);
                return Ok(Some(decision));
            }
        }
        let limiter = limiter.with_deadline(started.remaining_of(deadline).max(Duration::from_millis(1)));
        // A task of its own: if the one that asks is dropped, what was charged is here for others.
        let task = self.limiter.redis().detach(self.clone().ask(limiter, place, last, subject.into(), cost));
        let answer =
            async { task.await.unwrap_or_else(|_| Err(no_answer("the call ended without an answer"))) };
        telemetry::asked(answer).await.map(Some)
    }

    async fn ask(
        self: Arc<Self>,
        limiter: RateLimiter,
        place: Arc<Place>,
        mut last: OwnedMutexGuard<Option<Last>>,
        subject: Box<[u8]>,
        cost: NonZeroU64,
    ) -> Result<Decision, Error> {
        let asked = BootInstant::now();
        let ask = Ask { least: cost, most: self.chunk.max(cost).get() };
        let answer = limiter.ask_unwatched(&subject, ask).await;
        *last = Last::of(&answer, cost);
        let decision = answer?;
        if !decision.is_allowed() {
            return Ok(decision);
        }
        Ok(self.grant(&place, &subject, asked, decision, cost))
    }

    /// On the runtime of the handle, which outlasts that of a caller; `close` does not wait for it.
    fn start_sweeper(self: &Arc<Self>) {
        let sweeper = sweep(Arc::downgrade(self), self.hold);
        drop(self.limiter.redis().detach(async move { drop(tokio::spawn(sweeper)) }));
    }

    /// Puts the rest of what was granted in the place of what was there, which goes back.
    fn grant(
        &self,
        place: &Place,
        subject: &[u8],
        asked: BootInstant,
        granted: Decision,
        cost: NonZeroU64,
    ) -> Decision {
        let rest = granted.charged.saturating_sub(cost.get());
        let decision = granted.part(cost.get(), rest, Source::Redis, Duration::ZERO);
        let span = self.span_of(&granted);
        let lease = Lease { left: AtomicU64::new(rest), asked, span, granted };
        let before = place.lease.write().unwrap_or_else(PoisonError::into_inner).replace(lease);
        if let Some(before) = before {
            self.give_back(subject.into(), before);
        }
        decision
    }

    /// How long what was granted may be spent: `hold`, and no longer than any window that ends.
    fn span_of(&self, granted: &Decision) -> Duration {
        let states = self.limiter.policies().iter().zip(granted.policies());
        let ending = states.filter(|(policy, _)| policy.ends_with_window());
        ending.map(|(_, state)| state.reset_after.saturating_sub(ROUNDING)).fold(self.hold, Duration::min)
    }

    /// Also where no runtime is current.
    fn give_back(&self, subject: Box<[u8]>, lease: Lease) {
        let Some(units) = NonZeroU64::new(lease.left.into_inner()) else { return };
        let (limiter, mut granted) = (self.limiter.clone(), lease.granted);
        // The rest was spent, and is given back, if at all, by those who spent it.
        granted.charged = units.get();
        let denials = self.denials.read().unwrap_or_else(PoisonError::into_inner).clone();
        // What does not come back stays charged until its time is over.
        drop(self.limiter.redis().detach(async move {
            let _ = limiter.refund(&subject, &mut granted, units).await;
            if let Some(denials) = denials {
                denials.forget(&subject);
            }
        }));
    }

    fn place(&self, subject: &[u8]) -> Arc<Place> {
        if let Some(place) = self.places.read().unwrap_or_else(PoisonError::into_inner).get(subject) {
            return place.clone();
        }
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.entry(subject.into()).or_default().clone()
    }

    /// Gives back what was not spent in time, and forgets subjects without a lease.
    fn end_overdue(&self) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.retain(|subject, place| {
            let mut lease = place.lease.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(overdue) = lease.take_if(|lease| lease.is_over()) {
                self.give_back(subject.clone(), overdue);
            }
            // Whoever is about to ask for it holds it too.
            lease.is_some() || Arc::strong_count(place) > 1
        });
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let places = std::mem::take(self.places.get_mut().unwrap_or_else(PoisonError::into_inner));
        for (subject, place) in places {
            let lease = place.lease.write().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(lease) = lease {
                self.give_back(subject, lease);
            }
        }
    }
}

impl Place {
    fn spend(&self, cost: NonZeroU64) -> Option<Decision> {
        let lease = self.lease.read().unwrap_or_else(PoisonError::into_inner);
        lease.as_ref()?.spend(cost.get())
    }
}

impl Lease {
    fn spend(&self, cost: u64) -> Option<Decision> {
        let age = self.asked.elapsed();
        if age >= self.span {
            return None;
        }
        let order = Ordering::Relaxed;
        let before = self.left.fetch_update(order, order, |left| left.checked_sub(cost)).ok()?;
        Some(self.granted.part(cost, before - cost, Source::Lease, age))
    }

    fn is_over(&self) -> bool {
        self.asked.elapsed() >= self.span
    }
}

impl Last {
    fn of(answer: &Result<Decision, Error>, cost: NonZeroU64) -> Option<Self> {
        let denial = match answer {
            Ok(decision) if decision.is_allowed() => return None,
            Ok(decision) => Some((cost, decision.clone())),
            Err(_) => None,
        };
        Some(Self { answered: BootInstant::now(), denial })
    }
}

async fn sweep(leases: Weak<Leases>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(leases) = leases.upgrade() else { return };
        leases.end_overdue();
    }
}
