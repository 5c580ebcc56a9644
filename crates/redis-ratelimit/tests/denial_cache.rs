//! Denials that are answered here: as many as the server would give, and no others.

mod common;

use common::{HOUR, each_policy, hourly, many};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{FixedWindow, Gate, RateLimiter, Redis, Source, WhenDown};
use std::num::NonZeroUsize;
use std::time::Duration;

const PLACES: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

fn gate(limiter: RateLimiter) -> Gate {
    Gate::new(limiter, WhenDown::FailClosed).deadline(Duration::from_secs(5)).cache_denials(PLACES)
}

fn ten(redis: &Redis) -> Gate {
    gate(hourly(redis, 10))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_denials_cost_one_command() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    for policy in each_policy(1) {
        let gate = gate(RateLimiter::new(t.redis.clone(), policy.clone()));
        let subject = format!("{policy:?}");
        assert!(gate.check(&subject).await.unwrap().is_allowed());
        let denied = async || {
            let mut local = 0;
            for _ in 0..1_000 {
                let decision = gate.check(&subject).await.unwrap();
                assert!(decision.retry_after().is_some_and(|wait| wait <= 24 * HOUR), "{decision:?}");
                assert_eq!((decision.charged, decision.policy.as_ref()), (0, "test"));
                local += u64::from(decision.source == Source::LocalDenial);
            }
            local
        };
        let (local, cost) = round_trips(&[server.url()], denied).await.unwrap();
        assert_eq!((local, cost.sent.total()), (999, 1), "{}", cost.sent);
    }
}

on_every_topology! {
    async fn a_denial_holds_for_as_much_or_more_and_for_its_subject_only(t: TestRedis) {
        let gate = ten(&t.redis);
        assert!(gate.check_n("ann", many(4)).await.unwrap().is_allowed());
        assert_eq!(gate.check_n("ann", many(8)).await.unwrap().source, Source::Redis);
        for (cost, source) in [(8, Source::LocalDenial), (9, Source::LocalDenial), (7, Source::Redis), (7, Source::LocalDenial), (8, Source::LocalDenial)] {
            let decision = gate.check_n("ann", many(cost)).await.unwrap();
            assert_eq!((decision.is_allowed(), decision.source), (false, source), "{cost}");
        }
        assert!(gate.check_n("ann", many(6)).await.unwrap().is_allowed());
        assert!(gate.check_n("bob", many(10)).await.unwrap().is_allowed());
    }

    async fn a_refund_through_the_gate_is_seen_at_once(t: TestRedis) {
        let gate = ten(&t.redis);
        let mut decision = gate.check_n("ann", many(10)).await.unwrap();
        for _ in 0..2 {
            assert!(!gate.check("ann").await.unwrap().is_allowed());
        }
        assert_eq!(gate.refund("ann", &mut decision, many(1)).await.unwrap(), 1);
        assert!(gate.check("ann").await.unwrap().is_allowed());
    }

    async fn a_denial_ends_with_its_wait(t: TestRedis) {
        let short = FixedWindow::new("test", many(1), Duration::from_millis(300)).unwrap();
        let gate = gate(RateLimiter::new(t.redis.clone(), short));
        for _ in 0..2 {
            eventually("the window ends", async || gate.check("ann").await.unwrap().is_allowed()).await;
        }
    }

    async fn long_subjects_are_asked_for_each_time(t: TestRedis) {
        let gate = ten(&t.redis);
        let long = [b'x'; 257];
        assert!(gate.check_n(long, many(10)).await.unwrap().is_allowed());
        for _ in 0..2 {
            assert_eq!(gate.check(long).await.unwrap().source, Source::Redis);
        }
    }
}
