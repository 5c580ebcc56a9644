//! Whether Redis is asked at all: not while it has just failed several times in a row.

use redis_patterns_core::BootInstant;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Closed while fewer than `threshold` calls in a row have failed; open after that, but for one call
/// in each `rest`, whose answer closes it. Calls that were under way together fail for one reason, and
/// count once.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: NonZeroU32,
    rest: Duration,
    failures: AtomicU32,
    /// When the last failure that counts was known, in nanoseconds after `start`.
    known: AtomicU64,
    /// When the next call may try an open breaker, in milliseconds after `start`.
    next_try: AtomicU64,
    start: BootInstant,
}

impl Breaker {
    pub(super) fn new(threshold: NonZeroU32, rest: Duration) -> Self {
        let [known, next_try] = [0, 0].map(AtomicU64::new);
        Self { threshold, rest, failures: AtomicU32::new(0), known, next_try, start: BootInstant::now() }
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

    /// The time that [`Breaker::failed`] asks for.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Counts the failure of a call that was sent then.
    pub(super) fn failed(&self, sent: Duration) {
        let [sent, now] = [sent, self.now()].map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let (order, next) = (Ordering::Relaxed, now.max(sent.saturating_add(1)));
        if self.known.fetch_update(order, order, |known| (known <= sent).then_some(next)).is_err() {
            return;
        }
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
        u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)
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
            breaker.failed(breaker.now());
        }
        breaker.answered();
        for _ in 0..2 {
            breaker.failed(breaker.now());
            assert!(breaker.lets_through());
        }
        breaker.failed(breaker.now());
        assert!(breaker.is_open() && !breaker.lets_through());
        breaker.failed(breaker.now());
        assert!(!breaker.lets_through());
        breaker.answered();
        assert!(breaker.lets_through());
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let breaker = breaker(Duration::from_secs(3_600));
        let sent = breaker.now();
        for _ in 0..64 {
            breaker.failed(sent);
        }
        breaker.failed(breaker.now());
        assert!(!breaker.is_open());
        breaker.failed(breaker.now());
        assert!(breaker.is_open());
    }

    #[test]
    fn an_open_one_lets_a_single_call_try_in_each_rest() {
        let breaker = breaker(Duration::from_secs(3_600));
        for _ in 0..3 {
            breaker.failed(breaker.now());
        }
        // As if the rest were over.
        breaker.next_try.store(0, Ordering::Relaxed);
        let through = (0..100).filter(|_| breaker.lets_through()).count();
        assert_eq!(through, 1);
    }
}
