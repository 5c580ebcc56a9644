//! Random schedules of workers, crashes and expiries against the rules written down by hand, and by name the
//! schedules at which other libraries ran a request twice.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod world;

use common::{BODY, begin, end_lease};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use redis_idem::{Begin, Completion, Idempotency};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::sync::atomic::{AtomicUsize, Ordering};
use world::{Ask, BODIES, Known, Step, World};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = prop_oneof![4 => Just(Ask::Plainly), 1 => Just(Ask::Waiting), 2 => Just(Ask::Doubting)];
    let step = prop_oneof![
        6 => (ask, 0..BODIES.len()).prop_map(|(ask, body)| Step::Begin(ask, body)),
        2 => any::<usize>().prop_map(Step::Complete),
        1 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => any::<usize>().prop_map(Step::Indeterminate),
        1 => any::<usize>().prop_map(Step::Die),
        1 => any::<usize>().prop_map(Step::Heartbeat),
        1 => prop_oneof![Just(Step::FoundDone), Just(Step::FoundUndone)],
        4 => Just(Step::EndLease),
        1 => Just(Step::EndRetention),
    ];
    proptest::collection::vec(step, 1..40)
}

const ASKED: Step = Step::Begin(Ask::Plainly, 0);

/// The oldest of those that hold a claim.
const OLDEST: usize = 0;

async fn outcome_of(t: &TestRedis, name: &str, schedule: &[Step]) -> Known {
    World::of(&t.redis, name.to_owned()).follow(schedule).await.known
}

fn done_by(worker: u32) -> Known {
    Known::Done { body: 0, outcome: format!("by {worker}") }
}

on_every_topology! {
    /// A failing schedule is shortened before it is shown.
    async fn schedules_agree_with_the_rules(t: TestRedis) {
        let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let (runtime, total) = (tokio::runtime::Handle::current(), AtomicUsize::new(0));
        let checked = tokio::task::block_in_place(|| runner.run(&steps(), |schedule| {
            let number = total.fetch_add(schedule.len(), Ordering::SeqCst);
            let world = World::of(&t.redis, format!("k{number} {}", schedule.len()));
            runtime.block_on(world.follow(&schedule));
            Ok(())
        }));
        checked.unwrap();
        assert!(total.load(Ordering::SeqCst) > 1_000, "the schedules are too short to say much");
    }

    /// 1. A slow run completed, or deleted, what had been taken over from it.
    async fn interleaving_1_a_late_end_is_lost(t: TestRedis) {
        let taken_over = [ASKED, Step::EndLease, ASKED];
        for late in [Step::Complete(OLDEST), Step::Release(OLDEST), Step::Abandon(OLDEST), Step::Indeterminate(OLDEST)] {
            let rest = [late, ASKED, Step::Complete(OLDEST), ASKED];
            let known = outcome_of(&t, &format!("{late:?}"), &[&taken_over[..], &rest].concat()).await;
            assert_eq!(known, done_by(2), "{late:?}");
        }
    }

    /// 2. A waiter whose patience ended removed the claim of the one at work.
    async fn interleaving_2_a_waiter_takes_nothing(t: TestRedis) {
        let waited = Step::Begin(Ask::Waiting, 0);
        let known = outcome_of(&t, "k", &[ASKED, waited, waited, ASKED, Step::Complete(OLDEST), waited]).await;
        assert_eq!(known, done_by(1));
    }

    /// 3. A claim judged dead was replaced although it had been completed, or taken over, meanwhile.
    async fn interleaving_3_a_dead_claim_that_ends_is_not_replaced(t: TestRedis) {
        let known = outcome_of(&t, "a", &[ASKED, Step::EndLease, Step::Complete(OLDEST), ASKED]).await;
        assert_eq!(known, done_by(1));
        let twice = [ASKED, Step::EndLease, ASKED, ASKED, Step::Begin(Ask::Doubting, 0), Step::Complete(1)];
        assert_eq!(outcome_of(&t, "b", &twice).await, done_by(2));
    }

    /// 4. Looked up before it was locked: a run that ended in between was run again.
    async fn interleaving_4_what_was_done_is_not_run(t: TestRedis) {
        let known = outcome_of(&t, "k", &[ASKED, ASKED, Step::Complete(OLDEST), ASKED, ASKED]).await;
        assert_eq!(known, done_by(1));
    }

    /// 18. Replays took the lock, and refused each other.
    async fn interleaving_18_replays_are_not_in_each_others_way(t: TestRedis) {
        let world = World::of(&t.redis, "k".to_owned()).follow(&[ASKED, Step::Complete(OLDEST)]).await;
        let ask = || world.ask(Ask::Plainly, 0);
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        assert!([a, b, c, d].iter().all(|answer| matches!(answer, Begin::Replay(_))));
    }

    /// Somebody found the work done; the slow run that ends after all is told that its outcome is not the one.
    async fn a_run_that_ends_after_it_was_settled_is_told(t: TestRedis) {
        let settled = [ASKED, Step::EndLease, Step::Begin(Ask::Doubting, 0), Step::FoundDone];
        let known = outcome_of(&t, "k", &[&settled[..], &[Step::Complete(OLDEST), ASKED]].concat()).await;
        assert_eq!(known, Known::Done { body: 0, outcome: "found".to_owned() });
    }

    /// Workers race for the same few requests and die half way now and then: whatever the order, each
    /// request is completed once, and all replays agree.
    async fn racing_workers_complete_each_request_once(t: TestRedis) {
        let tasks: Vec<_> = (0..8_u32).map(|worker| {
            let (redis, requests) = (t.redis.clone(), Idempotency::new(t.redis.clone()));
            tokio::spawn(async move {
                let (mut stored, mut replays) = (Vec::new(), Vec::new());
                for round in 0..60_u32 {
                    let key = format!("k{}", round % 12);
                    match begin(&requests, &key, BODY).await {
                        Begin::Started(claim) if (worker + round) % 3 == 0 => {
                            end_lease(&redis, claim.request()).await;
                        }
                        Begin::Started(claim) => {
                            let outcome = format!("{worker}.{round}");
                            if claim.complete(outcome.clone()).await.unwrap() == Completion::Stored {
                                stored.push((key, outcome));
                            }
                        }
                        Begin::Replay(outcome) => replays.push((key, String::from_utf8(outcome.to_vec()).unwrap())),
                        Begin::InProgress { .. } => {}
                        other => panic!("{other:?}"),
                    }
                }
                (stored, replays)
            })
        }).collect();
        let mut outcomes = std::collections::HashMap::new();
        let mut all_replays = Vec::new();
        for task in tasks {
            let (stored, replays) = task.await.unwrap();
            for (key, outcome) in stored {
                assert!(outcomes.insert(key, outcome).is_none(), "a request was completed twice");
            }
            all_replays.extend(replays);
        }
        assert_eq!(outcomes.len(), 12);
        assert!(!all_replays.is_empty());
        for (key, outcome) in all_replays {
            assert_eq!(outcomes[&key], outcome);
        }
    }
}
