//! Several limits in one decision: all or nothing, one script, and an answer that names them.

mod common;

use common::{HOUR, KINDS, all_kinds, many, named};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{
    Calendar, Concurrency, ConcurrencyLimiter, Decision, Entry, Error, FixedWindow, Outcome, RateLimiter,
    Source, TokenBucket,
};
use std::time::Duration;

fn names<'a>(states: impl Iterator<Item = &'a redis_ratelimit::PolicyState>) -> Vec<String> {
    states.map(|state| state.policy.to_string()).collect()
}

/// `[10/s burst 20, 1000/h, daily quota]`, as a service would have them.
fn service(t: &TestRedis) -> RateLimiter {
    let pace =
        TokenBucket::new("pace", many(10), Duration::from_secs(3_600)).unwrap().burst(many(20)).unwrap();
    RateLimiter::new(t.redis.clone(), pace)
        .and(named("SlidingWindow", "hourly", 25))
        .and_then(|limiter| limiter.and(FixedWindow::calendar("quota", many(30), Calendar::Day).unwrap()))
        .unwrap()
}

fn left(decision: &Decision) -> Vec<u64> {
    decision.policies().iter().map(|state| state.remaining).collect()
}

on_every_topology! {
    async fn the_answer_names_every_policy_and_the_longest_wait(t: TestRedis) {
        let limiter = service(&t);
        let decision = limiter.check_n("ann", many(15)).await.unwrap();
        assert_eq!((decision.outcome, decision.source), (Outcome::Allowed, Source::Redis));
        assert_eq!((decision.policy.as_ref(), decision.limit, decision.remaining), ("pace", 20, 5));
        assert_eq!(left(&decision), [5, 10, 15]);
        assert_eq!(names(decision.policies().iter()), ["pace", "hourly", "quota"]);
        assert_eq!(decision.violated().count(), 0);
        let denied = limiter.check_n("ann", many(12)).await.unwrap();
        assert_eq!(names(denied.violated()), ["pace", "hourly"]);
        let waits: Vec<Duration> = denied.policies().iter().map(|state| state.retry_after).collect();
        assert!(waits[0] > Duration::ZERO && waits[1] > Duration::ZERO && waits[2].is_zero(), "{waits:?}");
        assert_eq!(denied.retry_after(), waits.iter().max().copied());
        assert_eq!((denied.charged, left(&denied)), (0, vec![5, 10, 15]));
        let denied = limiter.check_n("ann", many(16)).await.unwrap();
        assert_eq!(names(denied.violated()), ["pace", "hourly", "quota"]);
    }

    /// The reference: three models side by side, and a request passes if all three let it.
    async fn a_request_passes_if_every_policy_would_let_it(t: TestRedis) {
        for (number, first) in KINDS.into_iter().enumerate() {
            let limits = [7_u64, 11, 5];
            let kinds = [first, KINDS[(number + 2) % 6], KINDS[(number + 3) % 6]];
            let [a, b, c] = [0, 1, 2].map(|i| named(kinds[i], &format!("limit-{i}"), limits[i]));
            let limiter = RateLimiter::new(t.redis.clone(), a).and(b).unwrap().and(c).unwrap();
            let mut used = 0;
            for cost in [3, 4, 1, 2, 1, 1] {
                let decision = limiter.check_n(first, many(cost)).await.unwrap();
                let fits = limits.iter().all(|limit| used + cost <= *limit);
                assert_eq!(decision.is_allowed(), fits, "{kinds:?}: {used} + {cost}");
                used += if fits { cost } else { 0 };
                assert_eq!(left(&decision), limits.map(|limit| limit - used), "{kinds:?}");
            }
            assert_eq!(used, 5, "the tightest limit is used up");
        }
    }

    async fn a_cost_above_the_smallest_limit_is_an_error_and_none_of_any_is_taken(t: TestRedis) {
        let limiter = service(&t);
        let error = limiter.check_n("ann", many(21)).await.unwrap_err();
        assert!(matches!(error, Error::CostExceedsLimit { cost: 21, limit: 20 }), "{error}");
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn a_partial_grant_is_what_all_of_them_have(t: TestRedis) {
        let limiter = service(&t);
        let decision = limiter.at_most("ann", many(100)).await.unwrap();
        assert_eq!((decision.charged, left(&decision)), (20, vec![0, 5, 10]));
        assert_eq!(limiter.at_most("ann", many(1)).await.unwrap().charged, 0);
        assert_eq!(left(&limiter.peek("ann").await.unwrap()), [0, 5, 10]);
    }

    async fn a_refund_goes_back_to_all_of_them(t: TestRedis) {
        let limiter = all_kinds(&t.redis, 10);
        let mut decision = limiter.check_n("ann", many(7)).await.unwrap();
        assert_eq!(limiter.refund("ann", &mut decision, many(3)).await.unwrap(), 3);
        assert_eq!(left(&limiter.peek("ann").await.unwrap()), [6; 6]);
        assert_eq!(limiter.refund("ann", &mut decision, many(100)).await.unwrap(), 4);
        assert_eq!(left(&limiter.peek("ann").await.unwrap()), [10; 6]);
    }

    async fn each_policy_is_the_one_that_it_is_alone(t: TestRedis) {
        let limiter = service(&t);
        let alone = RateLimiter::new(t.redis.clone(), named("SlidingWindow", "hourly", 25));
        let _ = alone.check_n("ann", many(20)).await.unwrap();
        assert_eq!(names(limiter.check_n("ann", many(6)).await.unwrap().violated()), ["hourly"]);
        let _ = limiter.check_n("ann", many(5)).await.unwrap();
        assert!(!alone.check("ann").await.unwrap().is_allowed());
        assert!(limiter.check("bob").await.unwrap().is_allowed(), "subjects count apart");
    }

    async fn a_slot_and_rates_in_one_step(t: TestRedis) {
        let slots = Concurrency::new("slots", many(2), HOUR).unwrap();
        let limiter = ConcurrencyLimiter::new(t.redis.clone(), slots);
        let limiter = KINDS.into_iter().fold(limiter, |limiter, kind| limiter.and(named(kind, kind, 10)).unwrap());
        let Entry::Admitted(one) = limiter.enter_n("ann", many(4)).await.unwrap() else { panic!("all have room") };
        assert_eq!(left(one.decision()), [1, 6, 6, 6, 6, 6, 6]);
        let Entry::Admitted(two) = limiter.enter_n("ann", many(4)).await.unwrap() else { panic!("all have room") };
        let Entry::Denied(denied) = limiter.enter_n("ann", many(3)).await.unwrap() else { panic!("none has room") };
        assert_eq!(denied.violated().count(), 7);
        assert!(one.release().await.unwrap());
        let Entry::Denied(denied) = limiter.enter_n("ann", many(3)).await.unwrap() else { panic!("rates have none") };
        assert_eq!((denied.violated().count(), left(&denied)[0]), (6, 1));
        let error = limiter.enter_n("ann", many(11)).await.unwrap_err();
        assert!(matches!(error, Error::CostExceedsLimit { limit: 10, .. }), "a slot has no cost: {error}");
        assert!(two.release().await.unwrap());
    }
}

#[tokio::test]
async fn two_policies_of_one_name_are_refused() {
    let Some(t) = TestRedis::standalone().await else { return };
    let limiter = RateLimiter::new(t.redis.clone(), named("SlidingLog", "a", 1));
    assert!(limiter.clone().and(named("SlidingLog", "a", 2)).is_err());
    assert!(limiter.and(named("SlidingLog", "b", 2)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_over_several_policies_is_one_round_trip() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let (limiter, servers) = (all_kinds(&t.redis, 10), [server.url()]);
    let cycle = async || {
        let mut decision = limiter.check_n("ann", many(2)).await.unwrap();
        let _ = limiter.at_most("ann", many(2)).await.unwrap();
        let _ = limiter.peek("ann").await.unwrap();
        let _ = limiter.refund("ann", &mut decision, many(1)).await.unwrap();
        let _ = limiter.block_for("ann", HOUR).await.unwrap();
        let _ = limiter.reset("ann").await.unwrap();
    };
    cycle().await;
    let ((), cost) = round_trips(&servers, cycle).await.unwrap();
    assert_eq!(
        (cost.sent.total(), cost.sent.of("evalsha"), cost.sent.of("unlink")),
        (6, 5, 1),
        "{}",
        cost.sent
    );
}
