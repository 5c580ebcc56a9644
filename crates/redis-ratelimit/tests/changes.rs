//! Limits that change while a service runs: what was charged stays charged, and nothing is reset.

mod common;

use common::{HOUR, clocked, each_limiter, many, named};
use redis_patterns_core::Redis;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{ApproximateWindow, Policy, RateLimiter, SlidingLog, SlidingWindow, TokenBucket};
use std::num::NonZeroU32;
use std::time::Duration;

fn with(redis: &Redis, policy: impl Into<Policy>) -> RateLimiter {
    RateLimiter::new(redis.clone(), policy)
}

on_every_topology! {
    async fn a_limit_is_lowered_and_raised_and_what_was_charged_stays(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            assert!(limiter.check_n(&kind, many(6)).await.unwrap().is_allowed());
            let lower = with(&t.redis, named(&kind, "test", 4));
            let denied = lower.check(&kind).await.unwrap();
            assert_eq!((denied.is_allowed(), denied.remaining, denied.limit), (false, 0, 4), "{kind}");
            assert!(denied.retry_after().unwrap() > Duration::ZERO, "{kind}");
            let higher = with(&t.redis, named(&kind, "test", 20));
            let raised = higher.check_n(&kind, many(14)).await.unwrap();
            // A bucket's rate has changed with its burst: the units that are owed are the same.
            assert!(raised.is_allowed() && raised.remaining == 0, "{kind}: {raised:?}");
            assert!(!higher.check(&kind).await.unwrap().is_allowed(), "{kind}");
            assert!(!limiter.check(&kind).await.unwrap().is_allowed(), "{kind}");
        }
    }

    /// A wait under a lowered limit leads to where the lowered limit admits, and no further.
    async fn a_wait_under_a_lowered_limit_is_right(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        for kind in ["Calendar", "TokenBucket", "SlidingLog", "SlidingWindow", "ApproximateWindow"] {
            let (wide, narrow) = (with(&redis, named(kind, "test", 30)), with(&redis, named(kind, "test", 5)));
            for _ in 0..6 {
                assert!(wide.check_n(kind, many(5)).await.unwrap().is_allowed(), "{kind}");
                clock.advance(Duration::from_secs(50));
            }
            let wait = narrow.check_n(kind, many(2)).await.unwrap().retry_after().unwrap();
            clock.advance(wait - Duration::from_micros(1));
            assert!(!narrow.check_n(kind, many(2)).await.unwrap().is_allowed(), "{kind}: the wait is too long");
            clock.advance(Duration::from_micros(1));
            assert!(narrow.check_n(kind, many(2)).await.unwrap().is_allowed(), "{kind}: the wait is too short");
        }
        redis.close().await;
    }

    /// The debt is kept in units, whatever a rate makes of a unit.
    async fn a_bucket_owes_the_same_units_at_every_rate(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let bucket = |rate: u64, period: u64| {
            let bucket = TokenBucket::new("test", many(rate), Duration::from_secs(period)).unwrap();
            with(&redis, bucket.burst(many(100)).unwrap())
        };
        let rates = [(10, 3_600), (7, 3_600), (999_983, 86_400_000), (1, 7_777), (1_000, 3_600_000), (10, 3_600)];
        assert!(bucket(10, 3_600).check_n("ann", many(40)).await.unwrap().is_allowed());
        for (step, (rate, period)) in rates.into_iter().enumerate() {
            let left = bucket(rate, period).peek("ann").await.unwrap().remaining;
            assert_eq!(left, 60 - step as u64, "{rate} in {period} s");
            assert!(bucket(rate, period).check("ann").await.unwrap().is_allowed());
        }
        clock.advance(Duration::from_secs(360));
        assert_eq!(bucket(10, 3_600).peek("ann").await.unwrap().remaining, 55);
        redis.close().await;
    }

    /// What was taken under another period counts under this one by when it was taken.
    async fn a_period_is_made_longer_and_shorter(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let policy_of = |subject: &str, period| match subject {
            "log" => Policy::from(SlidingLog::new("test", many(10), period).unwrap()),
            _ => SlidingWindow::new("test", many(10), period).unwrap().into(),
        };
        for subject in ["log", "window"] {
            let policy = |period| policy_of(subject, period);
            assert!(with(&redis, policy(HOUR)).check_n(subject, many(6)).await.unwrap().is_allowed());
            clock.advance(minutes(50));
            assert_eq!(with(&redis, policy(2 * HOUR)).check_n(subject, many(2)).await.unwrap().remaining, 2, "{subject}");
            clock.advance(minutes(50));
            // By the longer period all eight are held; by the shorter one none is, nor at its old edge.
            assert_eq!(with(&redis, policy(2 * HOUR)).peek(subject).await.unwrap().remaining, 2, "{subject}");
            assert_eq!(with(&redis, policy(minutes(30))).peek(subject).await.unwrap().remaining, 10, "{subject}");
            assert_eq!(with(&redis, policy(minutes(75))).peek(subject).await.unwrap().remaining, 8, "{subject}");
        }
        redis.close().await;
    }

    /// Seen in the first cut of this crate: bucket numbers of another width lay far ahead, and held for years.
    async fn no_change_of_period_or_width_holds_a_subject_for_ever(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let window = |period, buckets| {
            let policy = SlidingWindow::new("test", many(10), period).unwrap();
            Policy::from(policy.buckets(NonZeroU32::new(buckets).unwrap()).unwrap())
        };
        let approximate = |period| Policy::from(ApproximateWindow::new("test", many(10), period).unwrap());
        let changes = [
            [window(HOUR, 10), window(48 * HOUR, 2), window(HOUR, 60)],
            [approximate(HOUR), approximate(48 * HOUR), approximate(HOUR)],
        ];
        for (number, policies) in changes.into_iter().enumerate() {
            let subject = format!("change-{number}");
            for policy in &policies {
                let decision = with(&redis, policy.clone()).check_n(&subject, many(3)).await.unwrap();
                assert!(decision.is_allowed(), "{policy:?}");
                assert!(decision.reset_after <= 96 * HOUR, "{policy:?}: {:?}", decision.reset_after);
            }
            let denied = with(&redis, policies[2].clone()).check_n(&subject, many(3)).await.unwrap();
            assert!(denied.retry_after().unwrap() <= 49 * HOUR, "{denied:?}");
            clock.advance(98 * HOUR);
            assert_eq!(with(&redis, policies[0].clone()).peek(&subject).await.unwrap().remaining, 10);
        }
        redis.close().await;
    }
}
