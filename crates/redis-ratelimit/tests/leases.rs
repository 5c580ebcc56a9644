//! Leases: few commands, nothing spent late, everything given back, and never more than the limit.

mod common;

use common::{HOUR, each_policy, hourly, key, many};
use redis_patterns_core::{BootInstant, Redis};
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{
    Degraded, FixedWindow, Gate, Policy, RateLimiter, SlidingLog, SlidingWindow, Source, TokenBucket,
    WhenDown,
};
use std::time::Duration;

/// As long as no test waits for its end.
const LONG: Duration = Duration::from_secs(600);

fn leased(redis: &Redis, policy: impl Into<Policy>, chunk: u64, hold: Duration) -> Gate {
    Gate::new(RateLimiter::new(redis.clone(), policy), WhenDown::FailClosed)
        .deadline(Duration::from_secs(5))
        .lease(many(chunk), hold)
        .unwrap()
}

/// The limit of a policy once it is leased for [`LONG`]: a bucket gives up what refills meanwhile.
fn limit_of(gate: &Gate) -> u64 {
    gate.limiter().policies()[0].largest_cost().get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_costs_one_command_however_many_spend_it() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    for policy in each_policy(1_200) {
        let gate = leased(&t.redis, policy.clone(), 100, LONG);
        let (subject, limit) = (format!("{policy:?}"), limit_of(&gate));
        let _ = gate.limiter().peek("warm").await.unwrap();
        let spend = async || {
            for number in 0..limit {
                let decision = gate.check(&subject).await.unwrap();
                assert!(decision.is_allowed(), "{number}: {decision:?}");
                assert_eq!((decision.charged, decision.limit), (1, limit));
                assert_eq!(decision.source == Source::Redis, number % 100 == 0, "{number}");
                assert_eq!(decision.remaining, limit - number - 1);
            }
        };
        let ((), cost) = round_trips(&[server.url()], spend).await.unwrap();
        assert_eq!(cost.sent.total(), limit / 100, "{}", cost.sent);
        assert!(!gate.check(&subject).await.unwrap().is_allowed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_wait_for_a_chunk_ask_once_for_all() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = leased(&t.redis, FixedWindow::new("test", many(1_000), HOUR).unwrap(), 100, LONG);
    let crowd = async || {
        let task = |gate: Gate| async move {
            let mut admitted = 0;
            for _ in 0..10 {
                admitted += u64::from(gate.check("ann").await.unwrap().is_allowed());
            }
            admitted
        };
        let tasks: Vec<_> = (0..512).map(|_| tokio::spawn(task(gate.clone()))).collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += task.await.unwrap();
        }
        admitted
    };
    let (admitted, cost) = round_trips(&[server.url()], crowd).await.unwrap();
    println!("512 tasks, 5,120 checks: {admitted} admitted, {} commands", cost.sent.total());
    assert_eq!(admitted, 1_000);
    assert!(cost.sent.total() < 1_000, "{}", cost.sent);
}

on_every_topology! {
    async fn what_is_left_goes_back_on_drop(t: TestRedis) {
        for policy in each_policy(300) {
            let gate = leased(&t.redis, policy.clone(), 100, LONG);
            let (subject, limit) = (format!("{policy:?}"), limit_of(&gate));
            let plain = gate.limiter().clone();
            for _ in 0..101 {
                assert!(gate.check(&subject).await.unwrap().is_allowed());
            }
            assert_eq!(plain.peek(&subject).await.unwrap().remaining, limit - 200);
            let clone = gate.clone();
            drop(gate);
            assert_eq!(clone.check(&subject).await.unwrap().source, Source::Lease);
            drop(clone);
            eventually("the rest comes back", async || {
                plain.peek(&subject).await.unwrap().remaining == limit - 102
            })
            .await;
        }
    }

    async fn a_chunk_whose_asker_went_away_is_spent_by_others(t: TestRedis) {
        let gate = leased(&t.redis, FixedWindow::new("test", many(300), HOUR).unwrap(), 100, LONG);
        for _ in 0..20 {
            // Polled once and dropped.
            let _ = tokio::time::timeout(Duration::ZERO, gate.check("ann")).await;
        }
        assert_eq!(gate.check("ann").await.unwrap().source, Source::Lease);
        assert_eq!(gate.limiter().peek("ann").await.unwrap().remaining, 200);
    }

    async fn what_nobody_spends_goes_back_when_its_time_is_over(t: TestRedis) {
        let gate = leased(&t.redis, FixedWindow::new("test", many(300), HOUR).unwrap(), 100, Duration::from_millis(50));
        assert!(gate.check("ann").await.unwrap().is_allowed());
        eventually("the rest comes back", async || {
            gate.limiter().peek("ann").await.unwrap().remaining == 299
        })
        .await;
    }

    async fn a_cost_above_the_chunk_or_what_is_left_of_it_is_asked_for(t: TestRedis) {
        let gate = leased(&t.redis, FixedWindow::new("test", many(100), HOUR).unwrap(), 10, LONG);
        for (cost, source) in [(4, Source::Redis), (6, Source::Lease), (25, Source::Redis), (1, Source::Redis), (9, Source::Lease), (7, Source::Redis), (4, Source::Redis)] {
            let decision = gate.check_n("ann", many(cost)).await.unwrap();
            assert_eq!((decision.charged, decision.source), (cost, source), "{cost}");
        }
        // The three that were not enough for four went back: 56 spent, 6 here, 38 there.
        eventually("what was not enough comes back", async || {
            gate.limiter().peek("ann").await.unwrap().remaining == 38
        })
        .await;
    }

    async fn what_was_spent_here_can_be_given_back(t: TestRedis) {
        let gate = leased(&t.redis, FixedWindow::new("test", many(20), HOUR).unwrap(), 10, LONG);
        let _ = gate.check("ann").await.unwrap();
        let mut decision = gate.check_n("ann", many(2)).await.unwrap();
        assert_eq!(decision.source, Source::Lease);
        assert_eq!(gate.refund("ann", &mut decision, many(2)).await.unwrap(), 2);
        assert_eq!(gate.limiter().peek("ann").await.unwrap().remaining, 12);
    }

    /// The window counts on until the last unit of it that may be spent has been.
    async fn nothing_is_spent_after_its_window(t: TestRedis) {
        let gate = leased(&t.redis, FixedWindow::new("test", many(100), Duration::from_millis(300)).unwrap(), 50, LONG);
        let first = key(&t.redis, "ann");
        for _ in 0..3 {
            assert_eq!(gate.check("ann").await.unwrap().source, Source::Redis);
            eventually("the window ends", async || t.ttl_ms(first.as_str()).await == -2).await;
        }
    }

    /// The adversary takes all there is and spends it as late as it can: what is admitted next must be
    /// a whole period later.
    async fn what_is_spent_late_keeps_its_distance_from_what_comes_next(t: TestRedis) {
        let (period, hold) = (Duration::from_millis(1_200), Duration::from_millis(1_000));
        let policies: [Policy; 2] = [
            SlidingLog::new("log", many(100), period).unwrap().into(),
            SlidingWindow::new("window", many(100), period).unwrap().into(),
        ];
        for policy in policies {
            let [late, next] = [(); 2].map(|()| leased(&t.redis, policy.clone(), 100, hold));
            let asked = BootInstant::now();
            assert!(late.check("ann").await.unwrap().is_allowed());
            // sleep: nothing is waited for; this is the moment that the adversary chooses.
            tokio::time::sleep(asked.remaining_of(hold / 2)).await;
            let spent = BootInstant::now();
            let mut late_ones = 0;
            while late.check("ann").await.unwrap().source == Source::Lease {
                late_ones += 1;
            }
            eventually("units come back", async || next.check("ann").await.unwrap().is_allowed()).await;
            assert!(late_ones == 0 || spent.elapsed() >= period, "{late_ones} spent {:?} before", spent.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_a_frozen_server_wait_no_longer_than_the_deadline() {
    const DEADLINE: Duration = Duration::from_millis(50);
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = Gate::new(hourly(&t.redis, 1_000), WhenDown::FailOpen).lease(many(1), LONG).unwrap();
    assert!(gate.check("ann").await.unwrap().is_allowed());
    server.node().stop().unwrap();
    let task = |gate: Gate| async move {
        let sent = BootInstant::now();
        (gate.check("ann").await.unwrap().source, sent.elapsed())
    };
    let tasks: Vec<_> = (0..200).map(|_| tokio::spawn(task(gate.clone()))).collect();
    let (mut asked, mut longest) = (0, Duration::ZERO);
    for task in tasks {
        let (source, took) = task.await.unwrap();
        assert!(matches!(source, Source::Fallback(_)), "{source:?}");
        asked += u64::from(source == Source::Fallback(Degraded::NoAnswer));
        longest = longest.max(took);
    }
    server.node().cont().unwrap();
    println!("200 waiting on one subject: {asked} asked, the longest took {longest:?}");
    assert!(asked < 10, "{asked} asked");
    assert!(longest < 20 * DEADLINE, "one after the other would be 200 deadlines: {longest:?}");
}

#[tokio::test]
async fn a_lease_in_which_a_whole_burst_refills_is_refused() {
    let Some(t) = TestRedis::standalone().await else { return };
    let lease = |hold| {
        let bucket = TokenBucket::new("test", many(10), Duration::from_secs(1)).unwrap();
        Gate::new(RateLimiter::new(t.redis.clone(), bucket), WhenDown::FailOpen).lease(many(5), hold)
    };
    assert!(lease(Duration::from_secs(1)).is_err() && lease(Duration::ZERO).is_err());
    assert_eq!(limit_of(&lease(Duration::from_millis(500)).unwrap()), 5);
}
