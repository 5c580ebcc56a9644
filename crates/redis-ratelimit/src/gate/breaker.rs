//! Whether Redis is asked at all: not while it has just failed several times in a row.

use redis_patterns_core::BootInstant;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Closed while fewer than `threshold` calls in a row have failed; open after that, but for one call
/// in each `rest`, whose answer closes it.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: NonZeroU32,
    rest: Duration,
    failures: AtomicU32,
    /// When the next call may try an open breaker, in milliseconds after `start`.
    next_try: AtomicU64,
    start: BootInstant,
}

impl Breaker {
    pub(super) fn new(threshold: NonZeroU32, rest: Duration) -> Self {
        let (failures, next_try) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { threshold, rest, failures, next_try, start: BootInstant::now() }
    }

    /// Whether this call may ask. A call that is let through an open breaker takes its turn, so a
    /// dropped one costs nothing but a rest.
    pub(super) fn lets_through(&self) -> bool {
        if !self.is_open() {
            return true;
        }
        let (now, turn) = (self.now_ms(), self.next_try.load(Ordering::Relaxed));
        let next = now.saturating_add(self.rest_ms());
        let order = Ordering::Relaxed;
        now >= turn && self.next_try.compare_exchange(turn, next, order, order).is_ok()
    }

    pub(super) fn answered(&self) {
        // A store by every call would pass the cache line between all cores.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) == self.threshold.get() {
            self.next_try.store(self.now_ms().saturating_add(self.rest_ms()), Ordering::Relaxed);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= self.threshold.get()
    }

    pub(super) fn rest(&self) -> Duration {
        self.rest
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rest_ms(&self) -> u64 {
        u64::try_from(self.rest.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(rest: Duration) -> Breaker {
        Breaker::new(NonZeroU32::new(3).unwrap(), rest)
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_one_answer_closes_it() {
        let breaker = breaker(Duration::from_secs(3_600));
        for _ in 0..2 {
            breaker.failed();
        }
        breaker.answered();
        for _ in 0..2 {
            breaker.failed();
            assert!(breaker.lets_through());
        }
        breaker.failed();
        assert!(breaker.is_open() && !breaker.lets_through());
        breaker.failed();
        assert!(!breaker.lets_through());
        breaker.answered();
        assert!(breaker.lets_through());
    }

    #[test]
    fn an_open_one_lets_a_single_call_try_in_each_rest() {
        let breaker = breaker(Duration::from_secs(3_600));
        for _ in 0..3 {
            breaker.failed();
        }
        // As if the rest were over.
        breaker.next_try.store(0, Ordering::Relaxed);
        let through = (0..100).filter(|_| breaker.lets_through()).count();
        assert_eq!(through, 1);
    }
}
