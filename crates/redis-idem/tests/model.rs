//! Random schedules of workers, crashes and expiries against the rules written down by hand.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, begin, end_lease, key_of};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use redis_idem::{Begin, Claim, Completion, Idempotency, Release};
use redis_patterns_core::{Args, Redis};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

const BODIES: [&str; 2] = [BODY, "another"];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request comes with one of the bodies.
    Begin(usize),
    /// One of those that hold a claim, perhaps a stale one, ends its work.
    Complete(usize),
    Release(usize),
    /// One of them dies.
    Die(usize),
    EndLease,
    EndRetention,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..BODIES.len()).prop_map(Step::Begin),
        2 => any::<usize>().prop_map(Step::Complete),
        1 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Die),
        3 => Just(Step::EndLease),
        1 => Just(Step::EndRetention),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What the rules say is known of the one request.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    Nothing,
    Claimed { by: u32, body: usize, attempt: u32, alive: bool },
    Done { body: usize, outcome: String },
}

/// The rules, the workers, and what each of them holds: its number and its claim.
struct World {
    redis: Redis,
    requests: Idempotency,
    key: String,
    known: Known,
    held: Vec<(u32, Claim)>,
    workers: u32,
    /// The name of the request, once a first claim told it.
    request: Option<String>,
}

impl World {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Begin(body) => self.begin(body).await,
            Step::Complete(which) => self.complete(which).await,
            Step::Release(which) => self.release(which).await,
            Step::Die(which) => drop(self.pick(which)),
            Step::EndLease => {
                let Some(request) = self.request.clone() else { return };
                end_lease(&self.redis, &request).await;
                if let Known::Claimed { alive, .. } = &mut self.known {
                    *alive = false;
                }
            }
            Step::EndRetention => {
                let Some(request) = self.request.clone() else { return };
                let key = key_of(&self.redis, &request);
                self.redis.command::<()>("PEXPIREAT", &[&key], &Args::new().int(1)).await.unwrap();
                self.known = Known::Nothing;
            }
        }
    }

    async fn begin(&mut self, asked: usize) {
        let answer = begin(&self.requests, &self.key, BODIES[asked]).await;
        let attempt = match (&self.known, &answer) {
            (Known::Nothing, Begin::Started(_)) => 1,
            (Known::Claimed { body, .. } | Known::Done { body, .. }, Begin::Mismatch) if *body != asked => {
                return;
            }
            (Known::Claimed { body, alive: true, .. }, Begin::InProgress { .. }) if *body == asked => return,
            (Known::Done { body, outcome }, Begin::Replay(bytes)) if *body == asked => {
                return assert_eq!(bytes, outcome.as_bytes());
            }
            (Known::Claimed { body, alive: false, attempt, .. }, Begin::Started(_)) if *body == asked => {
                attempt + 1
            }
            (known, answer) => panic!("the rules know {known:?}, body {asked} was answered {answer:?}"),
        };
        let Begin::Started(claim) = answer else { unreachable!() };
        assert_eq!(claim.attempt(), attempt);
        self.workers += 1;
        self.known = Known::Claimed { by: self.workers, body: asked, attempt, alive: true };
        self.request = Some(claim.request().to_owned());
        self.held.push((self.workers, claim));
    }

    async fn complete(&mut self, which: usize) {
        let Some((worker, claim)) = self.pick(which) else { return };
        let outcome = format!("by {worker}");
        let answer = claim.complete(outcome.clone()).await.unwrap();
        let Known::Claimed { by, body, .. } = self.known else {
            return assert_eq!(answer, Completion::Lost);
        };
        // A claim that nobody took over still counts, however late.
        let expected = if by == worker { Completion::Stored } else { Completion::Lost };
        assert_eq!(answer, expected);
        if by == worker {
            self.known = Known::Done { body, outcome };
        }
    }

    async fn release(&mut self, which: usize) {
        let Some((worker, claim)) = self.pick(which) else { return };
        let answer = claim.release().await.unwrap();
        match &mut self.known {
            Known::Nothing => assert_eq!(answer, Release::Released),
            Known::Claimed { by, attempt, alive, .. } if *by == worker => {
                assert_eq!(answer, Release::Released);
                if *attempt == 1 {
                    self.known = Known::Nothing;
                } else {
                    *alive = false;
                }
            }
            _ => assert_eq!(answer, Release::Lost),
        }
    }

    fn pick(&mut self, which: usize) -> Option<(u32, Claim)> {
        let count = self.held.len();
        (count > 0).then(|| self.held.remove(which % count))
    }
}

on_every_topology! {
    async fn schedules_agree_with_the_rules(t: TestRedis) {
        let mut runner = TestRunner::deterministic();
        let schedules = proptest::collection::vec(steps(), 60).new_tree(&mut runner).unwrap().current();
        let total: usize = schedules.iter().map(Vec::len).sum();
        for (number, schedule) in schedules.into_iter().enumerate() {
            let mut world = World {
                redis: t.redis.clone(),
                requests: Idempotency::new(t.redis.clone()),
                key: format!("k{number}"),
                known: Known::Nothing,
                held: Vec::new(),
                workers: 0,
                request: None,
            };
            for step in schedule {
                world.step(step).await;
            }
        }
        assert!(total > 500, "the schedules are too short to say much: {total} steps");
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
