//! A denied request changes no key: all keys are dumped before and after.

mod common;

use common::{HOUR, all_kinds, each_limiter, many, state};
use redis_patterns_core::{Key, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Concurrency, ConcurrencyLimiter, Entry, FixedWindow, RateLimiter, Reserved};
use std::collections::BTreeMap;
use std::time::Duration;

type States = BTreeMap<String, (Option<bytes::Bytes>, i64)>;

/// Every key with what it holds and when it expires.
async fn states(t: &TestRedis) -> States {
    let mut states = States::new();
    for name in t.keys().await {
        states.insert(name.clone(), state(&t.redis, &key_named(t, &name)).await);
    }
    states
}

/// The key of this name, from its parts `namespace:pattern:{subject}:limit`.
fn key_named(t: &TestRedis, name: &str) -> Key {
    const PATTERNS: [&str; 15] = [
        "rl",
        "rl-calendar",
        "rl-bucket",
        "rl-log",
        "rl-window",
        "rl-approximate",
        "rl-slots",
        "rl-block",
        "rl-holds",
        "rl-calendar-holds",
        "rl-bucket-holds",
        "rl-log-holds",
        "rl-window-holds",
        "rl-approximate-holds",
        "rl-slots-holds",
    ];
    let rest = name.strip_prefix(t.redis.namespace().as_str()).unwrap().trim_start_matches(':');
    let (pattern, rest) = rest.split_once(":{").unwrap();
    let (subject, limit) = rest.split_once("}:").unwrap();
    let pattern = PATTERNS.into_iter().find(|known| *known == pattern).unwrap();
    t.redis.namespace().part(pattern, &Tag::of(subject), limit)
}

on_every_topology! {
    async fn of_each_kind_every_denied_operation(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            let _ = limiter.check_n(&kind, many(2)).await.unwrap();
            let _ = limiter.check_n(&kind, many(2)).await.unwrap();
            let before = states(&t).await;
            for cost in [2, 3, 5] {
                for _ in 0..10 {
                    assert!(!limiter.check_n(&kind, many(cost)).await.unwrap().is_allowed(), "{kind}");
                }
                let reserved = limiter.reserve(&kind, many(cost), HOUR).await.unwrap();
                assert!(matches!(reserved, Reserved::Denied(_)), "{kind}");
                let _ = limiter.peek(&kind).await.unwrap();
                assert_eq!(states(&t).await, before, "{kind}: a denied {cost} changed a key");
            }
            assert!(limiter.check(&kind).await.unwrap().is_allowed(), "{kind}: a denial was charged");
            let before = states(&t).await;
            for denied in [limiter.at_most(&kind, many(9)).await, limiter.penalize(&kind, many(9)).await] {
                assert_eq!(denied.unwrap().charged, 0, "{kind}");
            }
            assert_eq!(states(&t).await, before, "{kind}: nothing to take changed a key");
        }
    }

    async fn a_blocked_subject_leaves_no_trace(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 5) {
            assert_eq!(limiter.block_for(&kind, HOUR).await.unwrap(), HOUR);
            let before = states(&t).await;
            for _ in 0..5 {
                assert!(!limiter.check(&kind).await.unwrap().is_allowed(), "{kind}");
                assert!(!limiter.at_most(&kind, many(3)).await.unwrap().is_allowed(), "{kind}");
            }
            assert_eq!(states(&t).await, before, "{kind}");
        }
    }

    /// Every policy has room but one, whichever it is: none is charged.
    async fn of_several_policies_none_is_charged_if_one_denies(t: TestRedis) {
        for kind in common::KINDS {
            let tight = RateLimiter::new(t.redis.clone(), common::named(kind, "tight", 3));
            let limiter = common::KINDS.into_iter().fold(tight, |limiter, other| {
                limiter.and(common::named(other, other, 100)).unwrap()
            });
            let _ = limiter.check_n(kind, many(2)).await.unwrap();
            let before = states(&t).await;
            for _ in 0..5 {
                let denied = limiter.check_n(kind, many(2)).await.unwrap();
                assert_eq!((denied.is_allowed(), denied.policy.as_ref(), denied.charged), (false, "tight", 0));
                assert!(matches!(limiter.reserve(kind, many(2), HOUR).await.unwrap(), Reserved::Denied(_)));
            }
            assert_eq!(states(&t).await, before, "{kind}");
        }
    }

    async fn a_request_that_finds_no_slot_is_charged_nothing(t: TestRedis) {
        let slots = Concurrency::new("slots", many(1), HOUR).unwrap();
        let quota = FixedWindow::new("quota", many(2), HOUR).unwrap();
        let limiter = ConcurrencyLimiter::new(t.redis.clone(), slots).and(quota).unwrap();
        let Entry::Admitted(slot) = limiter.enter("ann").await.unwrap() else { panic!("the slot is free") };
        let before = states(&t).await;
        for _ in 0..5 {
            let Entry::Denied(denied) = limiter.enter("ann").await.unwrap() else { panic!("it is taken") };
            assert_eq!((denied.policy.as_ref(), denied.violated().count()), ("slots", 1));
        }
        assert_eq!(states(&t).await, before);
        assert!(slot.release().await.unwrap());
        let Entry::Admitted(slot) = limiter.enter("ann").await.unwrap() else { panic!("a denial was charged") };
        assert!(slot.release().await.unwrap());
        let before = states(&t).await;
        let Entry::Denied(denied) = limiter.enter("ann").await.unwrap() else { panic!("the quota is used up") };
        assert_eq!(denied.policy.as_ref(), "quota");
        assert_eq!(states(&t).await, before, "a slot was taken by a denied request");
    }

    async fn all_kinds_together_deny_for_free(t: TestRedis) {
        let limiter = all_kinds(&t.redis, 4);
        assert!(limiter.check_n("ann", many(4)).await.unwrap().is_allowed());
        let before = states(&t).await;
        assert_eq!(before.len(), 6);
        for _ in 0..5 {
            let denied = limiter.check("ann").await.unwrap();
            assert_eq!((denied.violated().count(), denied.charged), (6, 0));
            let longest = denied.policies().iter().map(|state| state.retry_after).max();
            assert_eq!(denied.retry_after(), longest);
            assert!(longest.unwrap() > Duration::ZERO);
        }
        assert_eq!(states(&t).await, before);
    }
}
