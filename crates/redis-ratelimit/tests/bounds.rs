//! The worst case of each policy, against an oracle that remembers every take and adds them up.
//!
//! Time is the test's: it stands still, creeps by microseconds and jumps to the edges of windows,
//! which is where limiters go wrong. (`FixedWindow` goes by the key's TTL: see tests/model.rs.)

mod common;

use common::{clocked, many};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use redis_patterns_core::{Redis, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Decision, Policy, RateLimiter, SlidingLog, SlidingWindow, TokenBucket};
use std::num::NonZeroU32;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(6_000);
const PERIOD_US: u64 = 6_000_000_000;
/// A bucket of the tests' sliding windows.
const WIDTH_US: u64 = PERIOD_US / 6;

/// Every take: when, in microseconds, and how much.
#[derive(Default)]
struct Oracle(Vec<(u64, u64)>);

impl Oracle {
    /// The sum of the takes in the window of `width` that ends at `end`, its start excluded.
    fn sum(&self, end: u64, width: u64) -> u64 {
        let inside = |&&(at, _): &&(u64, u64)| at <= end && at + width > end;
        self.0.iter().filter(inside).map(|(_, units)| units).sum()
    }

    /// The most in any window of `width`: it ends with a take.
    fn worst(&self, width: u64) -> u64 {
        self.0.iter().map(|(end, _)| self.sum(*end, width)).max().unwrap_or_default()
    }
}

/// One run: a limiter of its own subject, the clock, and the oracle beside it.
struct Run {
    limiter: RateLimiter,
    clock: TestClock,
    subject: String,
    now: u64,
    oracle: Oracle,
}

impl Run {
    fn new(redis: &Redis, clock: &TestClock, policy: impl Into<Policy>, number: usize) -> Self {
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

    fn advance(&mut self, micros: u64) {
        self.clock.advance(Duration::from_micros(micros));
        self.now += micros;
    }

    async fn check(&mut self, cost: u64) -> Decision {
        let decision = self.limiter.check_n(&self.subject, many(cost)).await.unwrap();
        assert_eq!(decision.charged, if decision.is_allowed() { cost } else { 0 });
        if decision.is_allowed() {
            self.oracle.0.push((self.now, cost));
        }
        decision
    }
}

/// Steps of time and cost: mostly the edges.
fn schedules(count: usize) -> Vec<(u64, Vec<(u64, u64)>)> {
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

on_every_topology! {
    async fn a_sliding_log_is_the_oracle(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        for (number, (limit, steps)) in schedules(30).into_iter().enumerate() {
            let policy = SlidingLog::new("log", many(limit), PERIOD).unwrap();
            let mut run = Run::new(&redis, &clock, policy, number);
            for (advance, cost) in steps {
                run.advance(advance);
                let held = run.oracle.sum(run.now, PERIOD_US);
                let decision = run.check(cost).await;
                assert_eq!(decision.is_allowed(), held + cost <= limit, "{held} held, {cost} asked of {limit}");
                assert_eq!(decision.remaining, limit - held - decision.charged);
                if let Some(wait) = decision.retry_after() {
                    let wait = u64::try_from(wait.as_micros()).unwrap();
                    let held_later = |later: u64| run.oracle.sum(run.now + later, PERIOD_US);
                    assert!(held_later(wait) + cost <= limit, "the wait is too short");
                    assert!(held_later(wait - 1) + cost > limit, "the wait is too long");
                }
            }
            assert!(run.oracle.worst(PERIOD_US) <= limit);
        }
        redis.close().await;
    }

    async fn a_sliding_window_never_exceeds_the_limit_and_is_late_by_a_bucket_at_most(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        for (number, (limit, steps)) in schedules(30).into_iter().enumerate() {
            let policy = SlidingWindow::new("window", many(limit), PERIOD).unwrap();
            let policy = policy.buckets(NonZeroU32::new(6).unwrap()).unwrap();
            let mut run = Run::new(&redis, &clock, policy, number);
            for (advance, cost) in steps {
                run.advance(advance);
                let held_at_most = run.oracle.sum(run.now, PERIOD_US + WIDTH_US);
                let allowed = run.check(cost).await.is_allowed();
                assert!(allowed || held_at_most + cost > limit, "late by more than a bucket");
                assert!(run.oracle.worst(PERIOD_US) <= limit);
            }
        }
        redis.close().await;
    }

    /// The rule once more, as a virtual schedule in exact fractions: another form than the script's.
    async fn a_token_bucket_is_the_cell_rate_algorithm(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        for (number, (rate, steps)) in schedules(30).into_iter().enumerate() {
            let burst = rate / 2 + 4;
            let policy = TokenBucket::new("bucket", many(rate), PERIOD).unwrap().burst(many(burst)).unwrap();
            let mut run = Run::new(&redis, &clock, policy, number);
            // When the bucket is full again, in microseconds times rate.
            let mut full_at = 0;
            let (rate, burst, period) = (u128::from(rate), u128::from(burst), u128::from(PERIOD_US));
            for (advance, cost) in steps {
                run.advance(advance % WIDTH_US);
                let now = u128::from(run.now) * rate;
                let next = full_at.max(now) + u128::from(cost) * period;
                let allowed = next - now <= burst * period;
                assert_eq!(run.check(cost).await.is_allowed(), allowed, "rate {rate}, burst {burst}, cost {cost}");
                full_at = if allowed { next } else { full_at };
            }
            for width in [1, WIDTH_US, PERIOD_US, 3 * PERIOD_US] {
                let bound = burst + rate * u128::from(width) / period;
                assert!(u128::from(run.oracle.worst(width)) <= bound);
            }
        }
        redis.close().await;
    }

    /// Takes given back count as never taken; the limit holds for what is left, and in the log no
    /// unit is lost.
    async fn refunds_at_any_time_keep_the_bound(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let (mut number, mut refunded, mut late) = (0, 0, 0);
        for (limit, steps) in schedules(16) {
            let policies: [(Policy, u64); 3] = [
                (SlidingLog::new("log", many(limit), PERIOD).unwrap().into(), limit),
                (SlidingWindow::new("window", many(limit), PERIOD).unwrap().into(), limit),
                (TokenBucket::new("bucket", many(limit), PERIOD).unwrap().into(), 2 * limit),
            ];
            for (policy, bound) in policies {
                number += 1;
                let mut run = Run::new(&redis, &clock, policy, number);
                let mut held = Vec::new();
                for (step, &(advance, cost)) in steps.iter().enumerate() {
                    run.advance(advance % WIDTH_US);
                    let sum = run.oracle.sum(run.now, PERIOD_US);
                    let decision = run.check(cost).await;
                    if matches!(run.limiter.policies()[0], Policy::SlidingLog(_)) {
                        assert_eq!(decision.is_allowed(), sum + cost <= limit, "{sum} + {cost} of {limit}");
                    }
                    if decision.is_allowed() {
                        held.push((run.oracle.0.len() - 1, decision));
                    }
                    if step % 3 == 2 && !held.is_empty() {
                        let (take, mut decision) = held.swap_remove(step % held.len());
                        let back = run.limiter.refund(&run.subject, &mut decision, many(1 + cost / 2)).await.unwrap();
                        run.oracle.0[take].1 -= back;
                        refunded += back;
                        late += u64::from(back == 0);
                    }
                    assert!(run.oracle.worst(PERIOD_US) <= bound);
                }
            }
        }
        assert!(refunded > 100 && late > 10, "{refunded} units refunded, {late} refunds too late");
        redis.close().await;
    }

    /// The named wait is enough, and a microsecond less is not.
    async fn a_wait_is_exact(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let (mut number, mut denials) = (0, 0);
        for (limit, steps) in schedules(12) {
            let policies: [Policy; 3] = [
                SlidingLog::new("log", many(limit), PERIOD).unwrap().into(),
                SlidingWindow::new("window", many(limit), PERIOD).unwrap().into(),
                TokenBucket::new("bucket", many(limit), PERIOD).unwrap().into(),
            ];
            for policy in policies {
                number += 1;
                let mut run = Run::new(&redis, &clock, policy, number);
                for (advance, cost) in &steps {
                    run.advance(advance % WIDTH_US);
                    let Some(wait) = run.check(*cost).await.retry_after() else { continue };
                    denials += 1;
                    run.advance(u64::try_from(wait.as_micros()).unwrap() - 1);
                    assert!(!run.check(*cost).await.is_allowed(), "the wait is too long");
                    run.advance(1);
                    assert!(run.check(*cost).await.is_allowed(), "the wait is too short");
                }
            }
        }
        assert!(denials > 100, "only {denials} denials");
        redis.close().await;
    }

    /// All of it at the end of one window, then one at a time: two buckets weighed by overlap admit 199
    /// of 100 here.
    async fn the_boundary_adversary_gets_the_limit_and_no_more(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let policies: [Policy; 2] = [
            SlidingLog::new("log", many(100), PERIOD).unwrap().into(),
            SlidingWindow::new("window", many(100), PERIOD).unwrap().into(),
        ];
        for (number, policy) in policies.into_iter().enumerate() {
            let mut run = Run::new(&redis, &clock, policy, number);
            run.advance(PERIOD_US - run.now % PERIOD_US - 1);
            for _ in 0..100 {
                assert!(run.check(1).await.is_allowed());
            }
            for _ in 0..250 {
                run.advance(PERIOD_US / 100);
                let _ = run.check(1).await;
            }
            let worst = run.oracle.worst(PERIOD_US);
            println!("adversary: {worst} of 100 in the worst window, {} in all", run.oracle.0.len());
            assert_eq!(worst, 100);
            assert!(run.oracle.0.len() > 200, "the adversary was starved");
        }
        redis.close().await;
    }
}
