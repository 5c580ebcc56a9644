//! A gate while Redis is frozen, gone or wrong: what a check takes, what it says, and who asks Redis.

mod common;

use common::{HOUR, count, each_policy, hourly, key, many, plant};
use redis_patterns_core::{BootInstant, Redis};
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{Decision, Degraded, Error, Gate, Outcome, RateLimiter, Source, WhenDown};
use std::num::NonZeroU32;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_millis(50);
const SHORT_REST: Duration = Duration::from_millis(20);
/// What a loaded machine may add to a timer.
const SLACK: Duration = Duration::from_secs(2);

fn of(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn gate(redis: &Redis, when_down: WhenDown) -> Gate {
    Gate::new(hourly(redis, 100), when_down)
}

fn reason(decision: &Decision) -> Option<Degraded> {
    match decision.source {
        Source::Fallback(reason) => Some(reason),
        _ => None,
    }
}

/// Checks, and what each took.
async fn timed(gate: &Gate, subject: &str, times: usize) -> (Vec<Decision>, Vec<Duration>) {
    let (mut decisions, mut took) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let sent = BootInstant::now();
        decisions.push(gate.check(subject).await.unwrap());
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    (decisions, took)
}

fn p99(took: &[Duration]) -> Duration {
    took[(took.len() - 1) * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_costs_five_deadlines_and_then_nothing() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = gate(&t.redis, WhenDown::FailOpen).breaker(of(5), HOUR);
    assert_eq!(gate.check("ann").await.unwrap().source, Source::Redis);
    server.node().stop().unwrap();
    let (asked, took) = timed(&gate, "ann", 5).await;
    assert!(took.iter().all(|took| (DEADLINE..DEADLINE + SLACK).contains(took)), "{took:?}");
    for decision in &asked {
        assert_eq!(reason(decision), Some(Degraded::NoAnswer), "{decision:?}");
        assert!(Degraded::NoAnswer.may_have_charged() && decision.is_allowed() && decision.charged == 0);
    }
    assert!(gate.is_open_circuit());
    let (open, took_open) = timed(&gate, "ann", 2_000).await;
    println!(
        "frozen: p99 of 5 asked {:?}, p99 of 2,000 with an open circuit {:?}",
        p99(&took),
        p99(&took_open)
    );
    assert!(open.iter().all(|decision| reason(decision) == Some(Degraded::CircuitOpen)));
    server.node().cont().unwrap();
    // What was sent into the freeze ran afterwards, each once at most; the others were never sent.
    let counted = count(&t.redis, &key(&t.redis, "ann")).await.unwrap();
    assert!((1..=6).contains(&counted), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_and_closes_with_the_server() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = gate(&t.redis, WhenDown::FailOpen).breaker(of(3), SHORT_REST);
    assert_eq!(gate.check("ann").await.unwrap().source, Source::Redis);
    for _ in 0..2 {
        server.node().stop().unwrap();
        eventually("the breaker opens", async || {
            let _ = gate.check("ann").await.unwrap();
            gate.is_open_circuit()
        })
        .await;
        // One of many at a time tries the server, so few wait.
        let tasks: Vec<_> = (0..256).map(|_| tokio::spawn(timed_once(gate.clone()))).collect();
        let mut took = Vec::new();
        for task in tasks {
            took.push(task.await.unwrap());
        }
        took.sort_unstable();
        println!("frozen: p99 of 256 at once with the breaker open {:?}", p99(&took));
        assert!(took[took.len() - 1] < DEADLINE + SLACK);
        server.node().cont().unwrap();
        eventually("the breaker closes", async || {
            gate.check("ann").await.unwrap().source == Source::Redis && !gate.is_open_circuit()
        })
        .await;
    }
}

async fn timed_once(gate: Gate) -> Duration {
    let sent = BootInstant::now();
    let _ = gate.check("ann").await.unwrap();
    sent.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_each_answer_is_that_of_the_policy() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    server.node().kill().unwrap();
    let rest = Duration::from_secs(7);
    for policy in each_policy(11) {
        let limiter = RateLimiter::new(t.redis.clone(), policy);
        let gate = |when_down| Gate::new(limiter.clone(), when_down).breaker(of(2), rest);

        let open = gate(WhenDown::FailOpen);
        for _ in 0..20 {
            let decision = open.check("ann").await.unwrap();
            let Outcome::Degraded(why) = decision.outcome else { panic!("{decision:?}") };
            assert_eq!((Some(why), decision.is_allowed()), (reason(&decision), true));
        }
        let closed = gate(WhenDown::FailClosed);
        for _ in 0..20 {
            let decision = closed.check("ann").await.unwrap();
            assert_eq!(decision.outcome, Outcome::Denied { retry_after: rest });
            assert!(reason(&decision).is_some());
        }
        let shared = gate(WhenDown::LocalShare { processes: of(4) });
        let (decisions, _) = timed(&shared, "ann", 20).await;
        assert_eq!(decisions.iter().filter(|decision| decision.is_allowed()).count(), 2, "a quarter of 11");
        assert_eq!(decisions.iter().filter(|decision| reason(decision).is_some()).count(), 20);
        assert!(shared.check("bob").await.unwrap().is_allowed(), "subjects count apart");

        // What is wrong in itself stays an error.
        let too_much = open.check_n("ann", many(12)).await;
        assert!(matches!(too_much, Err(Error::CostExceedsLimit { cost: 12, limit: 11 })), "{too_much:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_certainly_was_not_sent_says_so() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let gate = Gate::new(hourly(&through.redis, 100), WhenDown::FailOpen).breaker(of(1_000), HOUR);
    assert_eq!(gate.check("ann").await.unwrap().source, Source::Redis);
    proxy.refuse();
    proxy.cut_all();
    eventually("the client notices that nobody is there", async || {
        reason(&gate.check("ann").await.unwrap()) == Some(Degraded::Unreachable)
    })
    .await;
    assert!(!Degraded::Unreachable.may_have_charged() && !Degraded::CircuitOpen.may_have_charged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_an_error_and_opens_no_breaker() {
    let Some(t) = TestRedis::standalone().await else { return };
    let gate = gate(&t.redis, WhenDown::FailOpen).breaker(of(1), HOUR).deadline(Duration::from_secs(5));
    plant(&t.redis, &key(&t.redis, "ann"), "no number").await;
    for _ in 0..10 {
        let answer = gate.check("ann").await;
        assert!(matches!(&answer, Err(error) if !error.is_outage()), "{answer:?}");
        assert!(matches!(gate.check_n("bob", many(101)).await, Err(Error::CostExceedsLimit { .. })));
    }
    assert!(!gate.is_open_circuit());
    assert_eq!(gate.check("bob").await.unwrap().source, Source::Redis);
    t.delete_keys().await;
}
