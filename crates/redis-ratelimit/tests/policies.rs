//! What every kind of policy owes, whatever its arithmetic.

mod common;

use common::{HOUR, each_limiter, key_of, many, state};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::Error;
use std::time::Duration;

on_every_topology! {
    async fn the_limit_is_admitted_and_no_more(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 3) {
            let longest = if kind == "Calendar" { HOUR * 24 } else { HOUR * 2 };
            for remaining in [2, 1, 0] {
                let decision = limiter.check(&kind).await.unwrap();
                assert!(decision.is_allowed(), "{kind}");
                assert_eq!((decision.limit, decision.charged, decision.remaining), (3, 1, remaining), "{kind}");
                assert!(decision.reset_after > Duration::ZERO && decision.reset_after <= longest);
            }
            let denied = limiter.check(&kind).await.unwrap();
            let wait = denied.retry_after().unwrap();
            assert!(wait > Duration::ZERO && wait <= longest, "{kind}: {wait:?}");
            assert_eq!((denied.charged, denied.remaining), (0, 0), "{kind}");
        }
    }

    async fn a_cost_is_charged_whole_or_not_at_all(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            for (cost, charged, remaining) in [(7, 7, 3), (4, 0, 3), (3, 3, 0), (1, 0, 0), (10, 0, 0)] {
                let decision = limiter.check_n(&kind, many(cost)).await.unwrap();
                assert_eq!(
                    (decision.is_allowed(), decision.charged, decision.remaining),
                    (charged > 0, charged, remaining),
                    "{kind}: a cost of {cost}"
                );
            }
        }
    }

    async fn an_impossible_cost_is_a_typed_error_and_leaves_nothing(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            for cost in [11, 1 << 53, u64::MAX] {
                let error = limiter.check_n(&kind, many(cost)).await.unwrap_err();
                assert!(matches!(error, Error::CostExceedsLimit { limit: 10, .. }), "{kind}: {error}");
                assert!(!error.is_outage(), "a wrong cost would be let through as an outage");
            }
            assert!(limiter.check_n(&kind, many(10)).await.unwrap().is_allowed());
        }
        assert_eq!(t.keys().await.len(), 6);
    }

    async fn at_most_takes_what_there_is(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            for (most, charged) in [(4, 4), (u64::MAX, 6), (1, 0)] {
                let decision = limiter.at_most(&kind, many(most)).await.unwrap();
                assert_eq!((decision.charged, decision.is_allowed()), (charged, charged > 0), "{kind}");
            }
        }
    }

    async fn a_peek_says_what_a_check_would_and_changes_nothing(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 2) {
            let key = key_of(&t.redis, &kind);
            for remaining in [2, 1, 0] {
                let before = state(&t.redis, &key).await;
                let peeked = limiter.peek(&kind).await.unwrap();
                assert_eq!((peeked.charged, peeked.remaining), (0, remaining), "{kind}");
                assert_eq!(peeked.is_allowed(), remaining > 0, "{kind}");
                assert_eq!(peeked.reset_after.is_zero(), remaining == 2, "{kind}");
                assert_eq!(state(&t.redis, &key).await, before, "{kind}: a peek changed the key");
                assert_eq!(limiter.check(&kind).await.unwrap().is_allowed(), peeked.is_allowed(), "{kind}");
            }
        }
    }

    async fn a_refund_makes_room_once(t: TestRedis) {
        // Of a bucket, what has drained since the take would not come back.
        let (redis, _clock) = common::clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 10) {
            let mut first = limiter.check_n(&kind, many(6)).await.unwrap();
            let mut second = limiter.check_n(&kind, many(4)).await.unwrap();
            let mut denied = limiter.check(&kind).await.unwrap();
            assert_eq!(limiter.refund(&kind, &mut denied, many(1)).await.unwrap(), 0, "{kind}");
            assert_eq!(limiter.refund(&kind, &mut first, many(2)).await.unwrap(), 2, "{kind}");
            assert_eq!(first.charged, 4);
            assert_eq!(limiter.peek(&kind).await.unwrap().remaining, 2, "{kind}");
            assert_eq!(limiter.refund(&kind, &mut first, many(9)).await.unwrap(), 4, "{kind}");
            assert_eq!(limiter.refund(&kind, &mut first, many(9)).await.unwrap(), 0, "{kind}: twice");
            assert_eq!(limiter.peek(&kind).await.unwrap().remaining, 6, "{kind}");
            assert_eq!(limiter.refund(&kind, &mut second, many(4)).await.unwrap(), 4, "{kind}");
            assert_eq!(limiter.peek(&kind).await.unwrap().remaining, 10, "{kind}");
            assert!(limiter.check_n(&kind, many(10)).await.unwrap().is_allowed(), "{kind}");
            assert!(t.ttl_ms(key_of(&t.redis, &kind).as_str()).await > 0, "{kind}");
        }
        redis.close().await;
    }

    /// Seen elsewhere: the refund lands on the next window and erases what others were charged there.
    async fn a_late_refund_does_not_touch_the_next_window(t: TestRedis) {
        let (redis, clock) = common::clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 10) {
            let mut early = limiter.check_n(&kind, many(6)).await.unwrap();
            // The fixed window goes by its TTL, the others by the clock.
            clock.advance(HOUR * 24);
            if kind == "FixedWindow" {
                common::expire(&redis, &key_of(&redis, &kind)).await;
            }
            assert_eq!(limiter.check_n(&kind, many(6)).await.unwrap().remaining, 4, "{kind}");
            if kind == "FixedWindow" {
                // Windows are told apart by their ends, and this one began far less than a period later.
                let longer = Args::new().int(5_000_000);
                t.redis.command::<()>("PEXPIRE", &[&key_of(&redis, &kind)], &longer).await.unwrap();
            }
            assert_eq!(limiter.refund(&kind, &mut early, many(6)).await.unwrap(), 0, "{kind}");
            assert_eq!(limiter.peek(&kind).await.unwrap().remaining, 4, "{kind}");
        }
        redis.close().await;
    }

    async fn a_reset_forgets_one_subject(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 1) {
            let other = format!("{kind}-other");
            let _ = limiter.check(&kind).await.unwrap();
            let _ = limiter.check(&other).await.unwrap();
            assert!(limiter.reset(&kind).await.unwrap());
            assert!(!limiter.reset(&kind).await.unwrap(), "{kind}: there was nothing left");
            assert!(limiter.check(&kind).await.unwrap().is_allowed(), "{kind}");
            assert!(!limiter.check(&other).await.unwrap().is_allowed(), "{kind}: another was reset too");
        }
    }

    async fn every_hostile_id_has_a_state_of_its_own(t: TestRedis) {
        let ids = hostile::small_ids();
        for (limiter, kind) in each_limiter(&t.redis, 1) {
            for id in &ids {
                assert!(limiter.check(id).await.unwrap().is_allowed(), "{kind}: an id met another");
            }
            for id in &ids {
                assert!(!limiter.check(id).await.unwrap().is_allowed(), "{kind}: an id lost its state");
                assert!(limiter.reset(id).await.unwrap());
            }
            assert_eq!(t.keys().await.len(), 0);
        }
    }

    async fn a_value_of_another_kind_is_an_error_and_stays(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            let key = key_of(&t.redis, &kind);
            t.redis.command::<()>("SADD", &[&key], &Args::new().bytes("x")).await.unwrap();
            let error = limiter.check(&kind).await.unwrap_err();
            assert!(!error.is_outage(), "{kind}: {error}");
            assert_eq!(t.redis.command::<i64>("SCARD", &[&key], &Args::new()).await.unwrap(), 1);
        }
    }

    /// Eight callers race; the period is long enough that nothing comes back meanwhile.
    async fn racing_callers_are_admitted_up_to_the_limit_exactly(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 100) {
            let press = |limiter: redis_ratelimit::RateLimiter, kind: String| async move {
                let mut admitted = 0;
                for _ in 0..20 {
                    admitted += limiter.check_n(&kind, many(2)).await.unwrap().charged;
                }
                admitted
            };
            let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(press(limiter.clone(), kind.clone()))).collect();
            let mut admitted = 0;
            for task in tasks {
                admitted += task.await.unwrap();
            }
            assert_eq!(admitted, 100, "{kind}");
        }
    }
}

#[tokio::test]
async fn memory_per_subject_stays_within_what_the_docs_say() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (redis, clock) = common::clocked(&t).await;
    for ((limiter, kind), most) in each_limiter(&redis, 100).into_iter().zip([150, 150, 200, 2_355, 300, 200])
    {
        // A hundred takes in one period, so every bucket and entry is in use.
        for _ in 0..100 {
            clock.advance(HOUR / 101);
            let _ = limiter.check(&kind).await.unwrap();
        }
        let bytes =
            t.admin().cmd(&["MEMORY", "USAGE", key_of(&redis, &kind).as_str()]).unwrap().int().unwrap();
        println!("{kind}: {bytes} bytes, key of {} bytes included", key_of(&redis, &kind).as_str().len());
        assert!(bytes <= most, "{kind}: {bytes} bytes");
    }
    t.delete_keys().await;
    redis.close().await;
}
