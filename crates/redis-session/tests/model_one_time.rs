//! Tokens and codes beside the simplest program that does the same, over random histories.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis_patterns_testkit::harness::TestRedis;
use redis_session::{Code, CodeOptions, Codes, Issue, OneTimeToken, OneTimeTokens, Pepper, Purpose, Verdict};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

const PURPOSE: Purpose = Purpose::new("model");
const ATTEMPTS: u32 = 3;
const BUDGET: u32 = 5;
const CASES: u32 = 150;
const HOUR: Duration = Duration::from_secs(3_600);

/// One step; the number is the identity or subject.
#[derive(Clone, Copy, Debug)]
enum Step {
    Issue(u8),
    Decoy(u8),
    Right(u8),
    Wrong(u8),
    /// A code that was replaced, or spent.
    Stale(u8),
    Unlock(u8),
    /// Everything of this identity expires.
    Expire,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..12_u8, 0..2_u8).prop_map(|(kind, of)| match kind {
        0..=2 => Step::Issue(of),
        3 => Step::Decoy(of),
        4..=5 => Step::Right(of),
        6..=8 => Step::Wrong(of),
        9 => Step::Stale(of),
        10 => Step::Unlock(of),
        _ => Step::Expire,
    });
    proptest::collection::vec(step, 1..40)
}

/// What stands for one identity: `right` is what would be right, `None` for a decoy.
#[derive(Debug, Default)]
struct Identity {
    active: Option<(Option<Code>, u32)>,
    stale: Option<Code>,
    failures: u32,
}

impl Identity {
    fn locked(&self) -> bool {
        self.failures >= BUDGET
    }

    fn put(&mut self, code: Option<Code>) {
        if let Some((Some(last), _)) = self.active.replace((code, 0)) {
            self.stale = Some(last);
        }
    }

    fn guess(&mut self, guess: &str) -> Verdict<u64> {
        if self.locked() {
            return Verdict::Locked { retry_after: HOUR };
        }
        let Some((code, tries)) = &mut self.active else { return Verdict::NoCode };
        *tries += 1;
        if code.as_ref().is_some_and(|code| code.expose() == guess) {
            self.stale = code.take();
            (self.active, self.failures) = (None, 0);
            return Verdict::Right(42);
        }
        self.failures += 1;
        let left = (ATTEMPTS - *tries).min(BUDGET - self.failures);
        if *tries == ATTEMPTS {
            self.active = None;
        }
        Verdict::Wrong { left }
    }
}

/// The time that is left of a lock is the server's to say.
fn without_time(verdict: Verdict<u64>) -> Verdict<u64> {
    match verdict {
        Verdict::Locked { .. } => Verdict::Locked { retry_after: HOUR },
        other => other,
    }
}

async fn follow(t: &TestRedis, codes: &Codes<u64>, steps: &[Step]) {
    let mut model: HashMap<u8, Identity> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        let (Step::Issue(of)
        | Step::Decoy(of)
        | Step::Right(of)
        | Step::Wrong(of)
        | Step::Stale(of)
        | Step::Unlock(of)) = *step
        else {
            t.delete_keys().await;
            model.clear();
            continue;
        };
        let identity = model.entry(of).or_default();
        match step {
            Step::Issue(_) => match codes.issue([of], &42).await.unwrap() {
                Issue::Issued(code) => {
                    assert!(!identity.locked(), "step {at}");
                    identity.put(Some(code));
                }
                Issue::TooSoon { .. } => assert!(identity.locked(), "step {at}"),
            },
            Step::Decoy(_) => match codes.decoy([of]).await.unwrap() {
                Issue::Issued(()) => {
                    assert!(!identity.locked(), "step {at}");
                    identity.put(None);
                }
                Issue::TooSoon { .. } => assert!(identity.locked(), "step {at}"),
            },
            Step::Unlock(_) => {
                assert_eq!(codes.unlock([of]).await.unwrap(), identity.failures > 0, "step {at}");
                identity.failures = 0;
            }
            Step::Right(_) | Step::Wrong(_) | Step::Stale(_) | Step::Expire => {
                let active = identity.active.as_ref().and_then(|(code, _)| code.clone());
                let guess = match step {
                    Step::Right(_) => active.map(|code| code.expose().to_owned()),
                    Step::Stale(_) => identity.stale.as_ref().map(|code| code.expose().to_owned()),
                    _ => None,
                };
                let guess = guess.unwrap_or_else(|| "not even digits".to_owned());
                let verdict = codes.verify([of], &guess).await.unwrap();
                assert_eq!(without_time(verdict), identity.guess(&guess), "step {at}");
            }
        }
    }
    t.delete_keys().await;
}

#[test]
fn codes_follow_the_model() {
    run_cases(|t, runtime, steps| {
        let options = CodeOptions::new()
            .attempts(NonZeroU32::new(ATTEMPTS).unwrap())
            .failures(NonZeroU32::new(BUDGET).unwrap(), HOUR)
            .cool_down(Duration::ZERO);
        let codes = Codes::new(t.redis.clone(), PURPOSE, Pepper::new(&[7; 32]), options).unwrap();
        runtime.block_on(follow(t, &codes, steps));
    });
}

/// Of each subject's tokens the last one issued is good, once.
#[test]
fn tokens_follow_the_model() {
    run_cases(|t, runtime, steps| {
        let tokens = OneTimeTokens::<u64>::new(t.redis.clone(), PURPOSE, HOUR).unwrap();
        let tokens = tokens.cool_down(Duration::ZERO).unwrap();
        runtime.block_on(async {
            let mut issued: Vec<(u8, OneTimeToken, u64)> = Vec::new();
            let mut good: HashMap<u8, u64> = HashMap::new();
            for (number, step) in (0..).zip(steps) {
                match *step {
                    Step::Issue(of) | Step::Decoy(of) => {
                        let token = tokens.issue([of], &number).await.unwrap().issued().unwrap();
                        issued.push((of, token, number));
                        good.insert(of, number);
                    }
                    Step::Expire => {
                        t.delete_keys().await;
                        good.clear();
                    }
                    Step::Unlock(_) => {
                        for (of, token, value) in &issued {
                            let expected = good.get(of).filter(|good| *good == value).copied();
                            assert_eq!(tokens.peek(token).await.unwrap(), expected);
                        }
                    }
                    Step::Right(of) | Step::Wrong(of) | Step::Stale(of) => {
                        let last = issued.iter().rev().filter(|(subject, ..)| *subject == of);
                        let pick = usize::from(matches!(step, Step::Stale(_)));
                        let Some((_, token, value)) = last.clone().nth(pick) else { continue };
                        let expected = good.get(&of).filter(|good| *good == value).copied();
                        assert_eq!(tokens.consume(token).await.unwrap(), expected);
                        if expected.is_some() {
                            good.remove(&of);
                        }
                    }
                }
            }
            t.delete_keys().await;
        });
    });
}

fn run_cases(case: impl Fn(&TestRedis, &tokio::runtime::Runtime, &[Step])) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&steps(), |steps| {
        case(&t, &runtime, &steps);
        Ok(())
    });
    ran.unwrap();
}
