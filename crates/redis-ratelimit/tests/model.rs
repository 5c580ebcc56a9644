//! Random schedules against the rule itself: never more than the limit in a window, never more
//! than twice the limit in a trailing span of one period.

use proptest::strategy::{Strategy, ValueTree};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{FixedWindow, RateLimiter};
use std::num::NonZeroU64;
use std::time::Duration;

on_every_topology! {
    /// Eight tasks race for one limit of 1,000: exactly 1,000 are admitted.
    async fn racing_callers_are_admitted_up_to_the_limit_exactly(t: TestRedis) {
        let policy = FixedWindow::new("race", NonZeroU64::new(1_000).unwrap(), Duration::from_secs(3_600)).unwrap();
        let limiter = RateLimiter::new(t.redis.clone(), policy);
        let tasks: Vec<_> = (0..8).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let mut admitted = 0;
                for _ in 0..200 {
                    admitted += u32::from(limiter.check("hot").await.unwrap().is_allowed());
                }
                admitted
            })
        }).collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += task.await.unwrap();
        }
        assert_eq!(admitted, 1_000);
    }

    /// Windows end where a schedule says (by moving the key's expiry, not by waiting); the model
    /// counts by hand.
    async fn schedules_agree_with_the_model(t: TestRedis) {
        let schedules = proptest::collection::vec((1_u64..6, proptest::collection::vec(0_u8..4, 1..40)), 12);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let schedules = schedules.new_tree(&mut runner).unwrap().current();
        for (number, (limit, steps)) in schedules.into_iter().enumerate() {
            let subject = format!("subject-{number}");
            let policy = FixedWindow::new("m", NonZeroU64::new(limit).unwrap(), Duration::from_secs(3_600)).unwrap();
            let limiter = RateLimiter::new(t.redis.clone(), policy);
            let key = t.redis.namespace().part("rl", &Tag::of(&subject), "m");
            let mut admitted_by_window = vec![0];
            for step in steps {
                if step == 0 {
                    t.redis.command::<()>("PEXPIREAT", &[&key], &Args::new().int(1)).await.unwrap();
                    admitted_by_window.push(0);
                    continue;
                }
                let window = admitted_by_window.last_mut().unwrap();
                let decision = limiter.check(&subject).await.unwrap();
                assert_eq!(decision.is_allowed(), *window < limit, "window holds {window} of {limit}");
                *window += u64::from(decision.is_allowed());
            }
            assert!(admitted_by_window.iter().all(|&count| count <= limit));
            assert!(admitted_by_window.windows(2).all(|pair| pair[0] + pair[1] <= 2 * limit));
        }
    }
}
