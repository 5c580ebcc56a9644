//! A blocked subject is denied by every kind of policy, for as long as the longest block.

mod common;

use common::{HOUR, all_kinds, each_limiter, many, named};
use redis_patterns_core::Tag;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::RateLimiter;
use std::time::Duration;

on_every_topology! {
    async fn a_block_denies_until_its_end_and_charges_nothing(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            assert_eq!(limiter.block_for(&kind, 2 * HOUR).await.unwrap(), 2 * HOUR, "{kind}");
            for _ in 0..3 {
                let denied = limiter.check(&kind).await.unwrap();
                let wait = denied.retry_after().expect("it is blocked");
                assert!(wait > HOUR && wait <= 2 * HOUR + Duration::from_millis(1), "{kind}: {wait:?}");
                assert_eq!((denied.charged, denied.remaining, denied.violated().count()), (0, 0, 1), "{kind}");
            }
            assert!(!limiter.peek(&kind).await.unwrap().is_allowed(), "{kind}");
            assert!(limiter.check(format!("{kind}-other")).await.unwrap().is_allowed(), "{kind}: another is blocked");
        }
    }

    async fn a_shorter_block_does_not_shorten_a_longer_one(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            for (span, left) in [(HOUR, HOUR), (HOUR / 2, HOUR), (3 * HOUR, 3 * HOUR), (Duration::ZERO, 3 * HOUR)] {
                let until = limiter.block_for(&kind, span).await.unwrap();
                assert!(until <= left && until > left - Duration::from_secs(60), "{kind}: {until:?} of {left:?}");
            }
        }
    }

    async fn a_block_ends_by_itself_or_by_a_reset(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            let _ = limiter.block_for(&kind, HOUR).await.unwrap();
            let block = t.redis.namespace().part("rl-block", &Tag::of(&kind), "test");
            common::expire(&t.redis, &block).await;
            assert!(limiter.check(&kind).await.unwrap().is_allowed(), "{kind}: it is over");
            let _ = limiter.block_for(&kind, HOUR).await.unwrap();
            assert!(limiter.reset(&kind).await.unwrap());
            assert!(limiter.check(&kind).await.unwrap().is_allowed(), "{kind}: it was reset");
        }
    }

    async fn the_wait_is_the_longer_one_of_block_and_limit(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 1) {
            let _ = limiter.check(&kind).await.unwrap();
            let limited = limiter.check(&kind).await.unwrap().retry_after().unwrap();
            let _ = limiter.block_for(&kind, Duration::from_millis(50)).await.unwrap();
            let wait = limiter.check(&kind).await.unwrap().retry_after().unwrap();
            assert!(wait <= limited && wait > Duration::from_secs(1), "{kind}: {wait:?} of {limited:?}");
            let _ = limiter.block_for(&kind, 48 * HOUR).await.unwrap();
            assert!(limiter.check(&kind).await.unwrap().retry_after().unwrap() > 47 * HOUR, "{kind}");
        }
    }

    async fn a_block_of_one_policy_denies_a_mix_with_it(t: TestRedis) {
        let mix = all_kinds(&t.redis, 5);
        let alone = RateLimiter::new(t.redis.clone(), named("SlidingLog", "SlidingLog", 5));
        let _ = alone.block_for("ann", HOUR).await.unwrap();
        let denied = mix.check("ann").await.unwrap();
        assert_eq!((denied.policy.as_ref(), denied.violated().count()), ("SlidingLog", 1));
        let _ = mix.block_for("bob", HOUR).await.unwrap();
        assert_eq!(mix.check("bob").await.unwrap().violated().count(), 6);
        assert!(!alone.check("bob").await.unwrap().is_allowed());
        assert!(mix.reset("bob").await.unwrap());
        assert!(mix.check("bob").await.unwrap().is_allowed());
    }

    async fn a_penalty_takes_what_is_there_and_is_no_denial_of_its_own(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            assert_eq!(limiter.penalize(&kind, many(3)).await.unwrap().remaining, 2, "{kind}");
            let all = limiter.penalize(&kind, many(100)).await.unwrap();
            assert_eq!((all.charged, all.remaining), (2, 0), "{kind}");
            assert!(!limiter.check(&kind).await.unwrap().is_allowed(), "{kind}");
        }
    }
}
