//! Trailing windows and the bucket.

use crate::common::{clocked, many};
use crate::oracle::{PERIOD, PERIOD_US, Run, WIDTH_US, schedules};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Policy, SlidingLog, SlidingWindow, TokenBucket};
use std::num::NonZeroU32;
use std::time::Duration;

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
            let policies: [Policy; 3] = [
                SlidingLog::new("log", many(limit), PERIOD).unwrap().into(),
                SlidingWindow::new("window", many(limit), PERIOD).unwrap().into(),
                TokenBucket::new("bucket", many(limit), PERIOD).unwrap().into(),
            ];
            for policy in policies {
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
                        let units = if step % 2 == 0 { 1 + cost / 2 } else { 8 };
                        let back = run.limiter.refund(&run.subject, &mut decision, many(units)).await.unwrap();
                        run.oracle.0[take].1 -= back;
                        refunded += back;
                        late += u64::from(back == 0);
                    }
                    for width in [1, WIDTH_US / 3, WIDTH_US, PERIOD_US, 3 * PERIOD_US] {
                        let bound = match run.limiter.policies()[0] {
                            Policy::TokenBucket(_) => limit + limit * width / PERIOD_US,
                            _ => limit * width.div_ceil(PERIOD_US),
                        };
                        assert!(run.oracle.worst(width) <= bound, "{:?}", run.limiter.policies());
                    }
                }
            }
        }
        assert!(refunded > 100 && late > 10, "{refunded} units refunded, {late} refunds too late");
        redis.close().await;
    }

    /// What A and B owe stands in line. Once A is given back, B drains from the time it was taken: five
    /// units later nothing of it is held any more.
    async fn a_take_that_stood_behind_one_given_back_has_drained_all_the_same(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let policy = TokenBucket::new("bucket", many(10), Duration::from_secs(10)).unwrap();
        let mut run = Run::new(&redis, &clock, policy, 0);
        let (mut a, mut b) = (run.check(5).await, run.check(5).await);
        assert_eq!(run.limiter.refund(&run.subject, &mut a, many(5)).await.unwrap(), 5);
        run.advance(2_000_000);
        // In two parts, and no more of both than of one.
        assert_eq!(run.limiter.refund(&run.subject, &mut b, many(2)).await.unwrap(), 2);
        run.advance(1_000_000);
        assert!(run.check(5).await.is_allowed());
        assert_eq!(run.limiter.refund(&run.subject, &mut b, many(3)).await.unwrap(), 0);
        assert!(!run.check(6).await.is_allowed() && run.check(5).await.is_allowed());
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
