//! Windows that stand side by side on the clock: of the calendar, and two of them weighed.

use crate::common::{clocked, many};
use crate::oracle::{Oracle, PERIOD, PERIOD_US, Run, WIDTH_US, schedules};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{ApproximateWindow, Calendar, FixedWindow};
use std::time::Duration;

/// The units taken in the window `back` windows before that of `now`.
fn in_window(oracle: &Oracle, now: u64, width: u64, back: u64) -> u64 {
    let taken = oracle.0.iter().filter(|(at, _)| at / width + back == now / width);
    taken.map(|(_, units)| units).sum()
}

/// What the two windows weigh: the one before by its part that a trailing window reaches, in whole
/// milliseconds, rounded up.
fn weight(oracle: &Oracle, now: u64) -> u64 {
    let reach_ms = (PERIOD_US / 1_000) - now % PERIOD_US / 1_000;
    let before = in_window(oracle, now, PERIOD_US, 1) * reach_ms;
    in_window(oracle, now, PERIOD_US, 0) + before.div_ceil(PERIOD_US / 1_000)
}

on_every_topology! {
    async fn a_calendar_window_is_the_oracle_and_its_wait_the_end_of_the_period(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let mut number = 0;
        for (calendar, period) in [(Calendar::Day, 86_400_000_000), (Calendar::Hour, 3_600_000_000)] {
            for (limit, steps) in schedules(12) {
                number += 1;
                let policy = FixedWindow::calendar("calendar", many(limit), calendar).unwrap();
                let mut run = Run::new(&redis, &clock, policy, number);
                let mut boundaries = 0;
                for (advance, cost) in steps {
                    let window = run.now / period;
                    // To the last microsecond before the boundary, then over it; else the schedule's step. A
                    // key's TTL runs on while the clock stands, so nothing else is close to the end.
                    let to_end = period - run.now % period;
                    let step = advance % (period / 3);
                    let close = to_end.saturating_sub(step) < 600_000_000;
                    run.advance(if to_end == 1 || close { to_end } else if advance % 4 == 0 { to_end - 1 } else { step });
                    boundaries += u64::from(run.now / period > window);
                    let held = in_window(&run.oracle, run.now, period, 0);
                    let decision = run.check(cost).await;
                    assert_eq!(decision.is_allowed(), held + cost <= limit, "{held} held, {cost} asked of {limit}");
                    let end = Duration::from_micros(period - run.now % period);
                    assert_eq!(decision.retry_after(), (!decision.is_allowed()).then_some(end));
                    assert_eq!(decision.reset_after, if held + decision.charged > 0 { end } else { Duration::ZERO });
                }
                assert!(boundaries > 3, "only {boundaries} boundaries");
                assert!(run.oracle.worst(period) <= 2 * limit);
            }
        }
        redis.close().await;
    }

    async fn an_approximate_window_is_its_formula_and_its_wait_exact_to_the_millisecond(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let mut waits = 0;
        for (number, (limit, steps)) in schedules(24).into_iter().enumerate() {
            let policy = ApproximateWindow::new("approximate", many(limit), PERIOD).unwrap();
            let mut run = Run::new(&redis, &clock, policy, number);
            for (advance, cost) in steps {
                run.advance(advance);
                let held = weight(&run.oracle, run.now);
                let decision = run.check(cost).await;
                assert_eq!(decision.is_allowed(), held + cost <= limit, "{held} held, {cost} asked of {limit}");
                assert_eq!(decision.remaining, limit.saturating_sub(held + decision.charged));
                assert!(run.oracle.worst(PERIOD_US) < 2 * limit, "the bound is 2 * limit - 1");
                if let Some(wait) = decision.retry_after() {
                    waits += 1;
                    let wait = u64::try_from(wait.as_micros()).unwrap();
                    let fits = |later: u64| weight(&run.oracle, run.now + later) + cost <= limit;
                    assert!(fits(wait), "the wait is too short: {wait}");
                    assert!(!fits(wait - 1), "the wait is too long: {wait}");
                }
            }
        }
        assert!(waits > 100, "only {waits} waits");
        redis.close().await;
    }

    /// The reason for the name, and that the bound is met and not exceeded.
    async fn the_boundary_adversary_gets_what_the_docs_say(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let policy = ApproximateWindow::new("approximate", many(100), PERIOD).unwrap();
        let mut run = Run::new(&redis, &clock, policy, 0);
        run.advance(PERIOD_US - run.now % PERIOD_US - 1);
        for _ in 0..100 {
            assert!(run.check(1).await.is_allowed());
        }
        for _ in 0..120 {
            run.advance(PERIOD_US / 101);
            let _ = run.check(1).await;
        }
        let worst = run.oracle.worst(PERIOD_US);
        println!("adversary: {worst} of 100 in the worst window of two buckets");
        assert_eq!(worst, 199);
        redis.close().await;
    }

    /// The larger the numbers, the sooner a floating-point weight would round the wrong way.
    async fn a_weight_is_exact_at_the_largest_numbers(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let limit = (1 << 52) / (PERIOD_US / 1_000);
        let policy = ApproximateWindow::new("approximate", many(limit), PERIOD).unwrap();
        let mut run = Run::new(&redis, &clock, policy, 0);
        assert!(ApproximateWindow::new("approximate", many(limit + 1), PERIOD).is_err());
        for step in 0..40_u64 {
            run.advance(WIDTH_US / 7 * 3 + step * 1_000);
            let held = weight(&run.oracle, run.now);
            let cost = limit / (3 + step % 5) - step;
            let decision = run.check(cost).await;
            assert_eq!(decision.is_allowed(), held + cost <= limit);
            assert_eq!(decision.remaining, limit.saturating_sub(held + decision.charged));
        }
        redis.close().await;
    }
}
