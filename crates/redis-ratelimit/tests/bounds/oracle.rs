//! An oracle that remembers every take and adds them up, and schedules that aim at the edges.

use crate::common::many;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use redis_patterns_core::{Redis, TestClock};
use redis_ratelimit::{Decision, Policy, RateLimiter};
use std::time::Duration;

pub(crate) const PERIOD: Duration = Duration::from_secs(6_000);
pub(crate) const PERIOD_US: u64 = 6_000_000_000;
/// A bucket of the tests' sliding windows.
pub(crate) const WIDTH_US: u64 = PERIOD_US / 6;

/// Every take: when, in microseconds, and how much.
#[derive(Default)]
pub(crate) struct Oracle(pub(crate) Vec<(u64, u64)>);

impl Oracle {
    /// The sum of the takes in the window of `width` that ends at `end`, its start excluded.
    pub(crate) fn sum(&self, end: u64, width: u64) -> u64 {
        let inside = |&&(at, _): &&(u64, u64)| at <= end && at + width > end;
        self.0.iter().filter(inside).map(|(_, units)| units).sum()
    }

    /// The most in any window of `width`: it ends with a take.
    pub(crate) fn worst(&self, width: u64) -> u64 {
        self.0.iter().map(|(end, _)| self.sum(*end, width)).max().unwrap_or_default()
    }
}

/// One run: a limiter of its own subject, the clock, and the oracle beside it.
pub(crate) struct Run {
    pub(crate) limiter: RateLimiter,
    pub(crate) clock: TestClock,
    pub(crate) subject: String,
    pub(crate) now: u64,
    pub(crate) oracle: Oracle,
}

impl Run {
    pub(crate) fn new(redis: &Redis, clock: &TestClock, policy: impl Into<Policy>, number: usize) -> Self {
        let now = redis.clock().micros_arg().cast_unsigned();
        let limiter = RateLimiter::new(redis.clone(), policy);
        Self {
            limiter,
            clock: clock.clone(),
            subject: format!("run-{number}"),
            now,
            oracle: Oracle::default(),
        }
    }

    pub(crate) fn advance(&mut self, micros: u64) {
        self.clock.advance(Duration::from_micros(micros));
        self.now += micros;
    }

    pub(crate) async fn check(&mut self, cost: u64) -> Decision {
        let decision = self.limiter.check_n(&self.subject, many(cost)).await.unwrap();
        assert_eq!(decision.charged, if decision.is_allowed() { cost } else { 0 });
        if decision.is_allowed() {
            self.oracle.0.push((self.now, cost));
        }
        decision
    }
}

/// Steps of time and cost: mostly the edges.
pub(crate) fn schedules(count: usize) -> Vec<(u64, Vec<(u64, u64)>)> {
    let edges = [
        0,
        0,
        0,
        1,
        2,
        WIDTH_US / 3,
        WIDTH_US - 1,
        WIDTH_US,
        WIDTH_US + 1,
        PERIOD_US / 2,
        PERIOD_US - 1,
        PERIOD_US,
        PERIOD_US + 1,
        PERIOD_US + WIDTH_US,
    ];
    let step = (proptest::sample::select(edges.to_vec()), 1_u64..8);
    let schedule = (7_u64..30, proptest::collection::vec(step, 20..60));
    let strategy = proptest::collection::vec(schedule, count);
    strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
}
