//! Reservations: settled once, bound to their window, and given back when nobody settles them.

mod common;

use common::{HOUR, all_kinds, each_limiter, key_of, many, named};
use redis_patterns_core::{Args, Namespace, Redis};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{Concurrency, ConcurrencyLimiter, RateLimiter, Reservation, Reserved, Settled};
use std::time::Duration;

async fn reserve(limiter: &RateLimiter, subject: &str, units: u64, deadline: Duration) -> Reservation {
    match limiter.reserve(subject, many(units), deadline).await.unwrap() {
        Reserved::Held(reservation) => reservation,
        Reserved::Denied(decision) => panic!("{decision:?}"),
    }
}

async fn left(limiter: &RateLimiter, subject: &str) -> u64 {
    limiter.peek(subject).await.unwrap().remaining
}

on_every_topology! {
    async fn a_commit_keeps_what_was_used_and_gives_back_the_rest_once(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            let mut work = reserve(&limiter, &kind, 8, HOUR).await;
            assert_eq!((work.decision().charged, left(&limiter, &kind).await), (8, 2), "{kind}");
            assert_eq!(work.commit(3).await.unwrap(), Settled::Now { returned: 5 }, "{kind}");
            assert_eq!(left(&limiter, &kind).await, 7, "{kind}");
            for actual in [3, 0] {
                assert_eq!(work.commit(actual).await.unwrap(), Settled::Before, "{kind}");
            }
            drop(work);
            assert_eq!(left(&limiter, &kind).await, 7, "{kind}: a settled one was settled again");
            assert_eq!(t.keys().await.iter().filter(|key| key.contains("-holds:")).count(), 0, "{kind}");
        }
    }

    async fn a_cancel_gives_back_all_and_a_drop_too(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            let work = reserve(&limiter, &kind, 6, HOUR).await;
            assert_eq!(work.cancel().await.unwrap(), Settled::Now { returned: 6 }, "{kind}");
            drop(reserve(&limiter, &kind, 10, HOUR).await);
            eventually("a drop cancels", async || left(&limiter, &kind).await == 10).await;
        }
    }

    async fn work_that_took_more_keeps_what_was_reserved(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            let mut work = reserve(&limiter, &kind, 4, HOUR).await;
            assert_eq!(work.commit(9).await.unwrap(), Settled::Now { returned: 0 }, "{kind}");
            assert_eq!(left(&limiter, &kind).await, 6, "{kind}");
            assert_eq!(limiter.penalize(&kind, many(5)).await.unwrap().remaining, 1, "{kind}");
        }
    }

    async fn too_much_to_reserve_is_denied_and_reserves_nothing(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            let work = reserve(&limiter, &kind, 7, HOUR).await;
            let denied = limiter.reserve(&kind, many(4), HOUR).await.unwrap();
            let Reserved::Denied(decision) = denied else { panic!("{kind}: there were 3") };
            assert_eq!((decision.is_allowed(), decision.charged, decision.remaining), (false, 0, 3), "{kind}");
            assert!(limiter.reserve(&kind, many(11), HOUR).await.is_err(), "{kind}: it can never fit");
            let _ = work.cancel().await.unwrap();
            assert_eq!(left(&limiter, &kind).await, 10, "{kind}");
        }
    }

    /// The process is gone: the first check after the deadline gives all of it back, not one before.
    async fn what_nobody_settles_comes_back_at_the_deadline(t: TestRedis) {
        let (redis, clock) = common::clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 10) {
            let deadline = Duration::from_secs(60);
            std::mem::forget(reserve(&limiter, &kind, 10, deadline).await);
            clock.advance(deadline - Duration::from_micros(1));
            // Of a bucket nothing whole has refilled by then.
            assert_eq!(left(&limiter, &kind).await, 0, "{kind}: given back too early");
            clock.advance(Duration::from_micros(1));
            assert!(limiter.check_n(&kind, many(10)).await.unwrap().is_allowed(), "{kind}: not given back");
            assert_eq!(t.keys().await.iter().filter(|key| key.contains("-holds:")).count(), 0, "{kind}");
        }
        redis.close().await;
    }

    async fn a_commit_after_the_deadline_says_so_and_changes_nothing(t: TestRedis) {
        let (redis, clock) = common::clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 10) {
            let mut late = reserve(&limiter, &kind, 6, Duration::from_secs(5)).await;
            clock.advance(Duration::from_secs(6));
            assert_eq!(left(&limiter, &kind).await, 10, "{kind}");
            assert!(limiter.check_n(&kind, many(6)).await.unwrap().is_allowed(), "{kind}");
            assert_eq!(late.commit(1).await.unwrap(), Settled::Before, "{kind}");
            assert_eq!(left(&limiter, &kind).await, 4, "{kind}: it took from another's charge");
        }
        redis.close().await;
    }

    /// Seen elsewhere: the rest lands on the next window and erases what others were charged there.
    async fn a_commit_in_the_next_window_leaves_it_alone(t: TestRedis) {
        let (redis, clock) = common::clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 10) {
            let mut early = reserve(&limiter, &kind, 6, HOUR * 50).await;
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
            assert_eq!(early.commit(1).await.unwrap(), Settled::Now { returned: 0 }, "{kind}");
            assert_eq!(left(&limiter, &kind).await, 4, "{kind}");
        }
        redis.close().await;
    }

    async fn of_several_limits_all_are_settled(t: TestRedis) {
        let limiter = all_kinds(&t.redis, 10);
        let mut work = reserve(&limiter, "ann", 8, HOUR).await;
        assert_eq!(work.commit(5).await.unwrap(), Settled::Now { returned: 3 });
        let peeked = limiter.peek("ann").await.unwrap();
        assert!(peeked.policies().iter().all(|state| state.remaining == 5), "{peeked:?}");
        std::mem::forget(reserve(&limiter, "ann", 5, Duration::from_millis(1)).await);
        eventually("the deadline gives back", async || {
            limiter.peek("ann").await.unwrap().policies().iter().all(|state| state.remaining == 5)
        })
        .await;
    }

    /// They share a name and a subject, and nothing of what is reserved.
    async fn a_check_of_one_kind_settles_nothing_of_another(t: TestRedis) {
        let (redis, clock) = common::clocked(&t).await;
        let limiters = each_limiter(&redis, 10).map(|(limiter, _)| limiter);
        for limiter in &limiters {
            std::mem::forget(reserve(limiter, "ann", 10, Duration::from_secs(60)).await);
        }
        clock.advance(Duration::from_secs(61));
        let slots = Concurrency::new("test", many(1), HOUR).unwrap();
        let slot = ConcurrencyLimiter::new(redis.clone(), slots).enter("ann").await.unwrap();
        for limiter in &limiters {
            assert_eq!(left(limiter, "ann").await, 10, "{:?}", limiter.policies());
        }
        drop(slot);
        redis.close().await;
    }

    /// Another limiter with one of the policies came first after the deadline.
    async fn what_one_policy_gave_back_is_not_settled_now(t: TestRedis) {
        let (redis, clock) = common::clocked(&t).await;
        let (one, two) = (named("SlidingLog", "one", 10), named("SlidingLog", "two", 10));
        let both = RateLimiter::new(redis.clone(), one.clone()).and(two).unwrap();
        let mut work = reserve(&both, "ann", 6, Duration::from_secs(60)).await;
        clock.advance(Duration::from_secs(61));
        assert_eq!(left(&RateLimiter::new(redis.clone(), one), "ann").await, 10);
        assert_eq!(work.commit(4).await.unwrap(), Settled::Before, "of one of them the work is not counted");
        let peeked = both.peek("ann").await.unwrap();
        assert_eq!(peeked.policies().iter().map(|state| state.remaining).collect::<Vec<_>>(), [10, 6]);
        redis.close().await;
    }

    async fn a_reset_ends_reservations(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            let mut work = reserve(&limiter, &kind, 6, HOUR).await;
            assert!(limiter.reset(&kind).await.unwrap());
            let _ = limiter.check_n(&kind, many(2)).await.unwrap();
            assert_eq!(work.commit(1).await.unwrap(), Settled::Before, "{kind}");
            assert_eq!(left(&limiter, &kind).await, 8, "{kind}");
        }
    }

    async fn a_killed_process_strands_nothing(t: TestRedis) {
        let env = [("URL", t.url()), ("NAMESPACE", t.redis.namespace().as_str())];
        let mut worker = Worker::spawn_self_test("reserver", &env).unwrap();
        assert_eq!(worker.next_line(Duration::from_secs(20)).await.unwrap(), "reserved");
        worker.kill().await.unwrap();
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            eventually("its reservation comes back", async || left(&limiter, &kind).await == 10).await;
        }
    }
}

/// Reserves everything of every kind, until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn reserver() {
    if !process::is_worker("reserver") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let (url, namespace) = (std::env::var("URL").unwrap(), std::env::var("NAMESPACE").unwrap());
    let redis = Redis::builder(&url).namespace(Namespace::new(&namespace).unwrap());
    let redis = Box::pin(redis.connect()).await.unwrap();
    let mut held = Vec::new();
    for (limiter, kind) in each_limiter(&redis, 10) {
        held.push(reserve(&limiter, &kind, 10, Duration::from_millis(1_500)).await);
    }
    process::say("reserved");
    let _ = lines.recv();
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_sent_again_and_counts_once() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let redis = through.redis.with_namespace(beside.redis.namespace().clone());
    for (limiter, kind) in each_limiter(&redis, 10) {
        let mut work = reserve(&limiter, &kind, 8, HOUR).await;
        // The first send may be answered NOSCRIPT: only one that runs is of interest.
        let _ = reserve(&limiter, "warm", 1, HOUR).await.cancel().await.unwrap();
        let lost = proxy.counts().lost_replies;
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        assert_eq!(work.commit(3).await.unwrap(), Settled::Before, "{kind}");
        assert_eq!(proxy.counts().lost_replies, lost + 1, "the fault did not happen");
        assert_eq!(left(&limiter, &kind).await, 7, "{kind}");
    }
    beside.delete_keys().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_reserve_and_to_commit_are_one_round_trip_each() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    for (limiter, kind) in each_limiter(&t.redis, 10) {
        let cycle = async || {
            let mut work = reserve(&limiter, &kind, 4, HOUR).await;
            work.commit(1).await.unwrap()
        };
        let _ = cycle().await;
        let (settled, cost) = round_trips(&[server.url()], cycle).await.unwrap();
        assert_eq!(settled, Settled::Now { returned: 3 }, "{kind}");
        assert_eq!((cost.sent.total(), cost.sent.of("evalsha")), (2, 2), "{kind}: {}", cost.sent);
    }
}
