//! Sessions beside the simplest program that does the same, over random histories.

#![allow(clippy::unwrap_used)]

mod common;

use common::value;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis_patterns_core::{Clock, Redis, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_session::{
    LogIn, Login, Options, Others, Revocation, Rotation, SessionId, Sessions, Swap, Update, Version, WhenFull,
};
use std::num::NonZeroU32;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const LIFE: Duration = Duration::from_secs(2 * 3_600);
const LIMIT: usize = 3;
const CASES: u32 = 120;
const START_US: i64 = 1_800_000_000_000_000;

/// One step; numbers are a user, or one of the sessions that there have been, and a value.
#[derive(Clone, Copy, Debug)]
enum Step {
    LogIn(u8, u64),
    Create(u64),
    Load(usize),
    Update(usize, u64),
    /// Against the version that was seen last, which may be an old one.
    Swap(usize, u64),
    Rotate(usize, u64),
    Revoke(usize),
    RevokeAll(u8),
    RevokeOthers(usize),
    /// A third of a life passes.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..16_u8, 0..2_u8, 0..16_usize, 0..100_u64).prop_map(|(kind, user, at, value)| match kind {
        0..=3 => Step::LogIn(user, value),
        4 => Step::Create(value),
        5..=6 => Step::Load(at),
        7..=8 => Step::Update(at, value),
        9 => Step::Swap(at, value),
        10..=11 => Step::Rotate(at, value),
        12 => Step::Revoke(at),
        13 => Step::RevokeAll(user),
        14 => Step::RevokeOthers(at),
        _ => Step::Wait,
    });
    proptest::collection::vec(step, 1..50)
}

/// A session that there was; `value` is none once it is over.
struct Known {
    id: SessionId,
    user: Option<u8>,
    value: Option<u64>,
    ends: Duration,
    version: Version,
    seen: Version,
}

struct Model {
    sessions: Sessions<u64>,
    clock: TestClock,
    now: Duration,
    known: Vec<Known>,
}

impl Model {
    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.now += time;
        for known in self.known.iter_mut().filter(|known| known.ends <= self.now) {
            known.value = None;
        }
    }

    fn of_user(&mut self, user: u8) -> impl Iterator<Item = &mut Known> {
        self.known.iter_mut().filter(move |known| known.user == Some(user) && known.value.is_some())
    }

    async fn begun(&mut self, id: SessionId, user: Option<u8>, value: u64, ends: Duration) {
        let version = self.sessions.load(&id).await.unwrap().unwrap().version;
        self.known.push(Known { id, user, value: Some(value), ends, version, seen: version });
    }

    /// What the steps without a session do.
    async fn step(&mut self, step: Step) {
        // No two sessions end at the same moment, so which makes room is certain.
        self.pass(MS);
        match step {
            Step::LogIn(user, value) => {
                let name = format!("user-{user}");
                let LogIn::Begun(id) = self.sessions.log_in(Login::of(&name), &value).await.unwrap() else {
                    panic!()
                };
                if self.of_user(user).count() == LIMIT {
                    self.of_user(user).min_by_key(|known| known.ends).unwrap().value = None;
                }
                self.begun(id, Some(user), value, self.now + LIFE).await;
            }
            Step::Create(value) => {
                let id = self.sessions.create(&value).await.unwrap();
                self.begun(id, None, value, self.now + LIFE).await;
            }
            Step::RevokeAll(user) => {
                // An index that holds only sessions that have expired is still there.
                let _ = self.sessions.revoke_all(&format!("user-{user}")).await.unwrap();
                self.of_user(user).for_each(|known| known.value = None);
            }
            Step::Wait => self.pass(LIFE / 3),
            Step::Load(at) | Step::Update(at, _) | Step::Swap(at, _) | Step::Rotate(at, _) => {
                self.used(at, step).await;
            }
            Step::Revoke(at) | Step::RevokeOthers(at) => self.used(at, step).await,
        }
    }

    /// What the steps on a session do.
    async fn used(&mut self, at: usize, step: Step) {
        if self.known.is_empty() {
            return;
        }
        let at = at % self.known.len();
        let (sessions, known) = (self.sessions.clone(), &mut self.known[at]);
        let there = known.value.is_some();
        match step {
            Step::Update(_, value) => {
                let expected = if there { Update::Updated } else { Update::Gone };
                assert_eq!(sessions.update(&known.id, &value).await.unwrap(), expected);
                known.value = there.then_some(value);
                if let Some(loaded) = sessions.load(&known.id).await.unwrap() {
                    known.version = loaded.version;
                }
            }
            Step::Swap(_, value) => match sessions.update_if(&known.id, &value, known.seen).await.unwrap() {
                Swap::Swapped(version) => {
                    assert!(there && known.seen == known.version);
                    (known.value, known.version, known.seen) = (Some(value), version, version);
                }
                Swap::Changed => assert!(there && known.seen != known.version),
                Swap::Gone => assert!(!there),
            },
            Step::Rotate(_, value) => match sessions.rotate(&known.id, &value).await.unwrap() {
                Rotation::Rotated(id) => {
                    assert!(there);
                    let (user, ends) = (known.user, known.ends);
                    known.value = None;
                    self.begun(id, user, value, ends).await;
                }
                Rotation::Gone => assert!(!there),
            },
            Step::Revoke(_) => {
                let answer = sessions.revoke(&known.id).await.unwrap();
                // What has expired by the test's clock is still in Redis until it is looked at.
                assert!(!there || answer == Revocation::Revoked);
                known.value = None;
            }
            Step::RevokeOthers(_) => {
                let (user, own) = (known.user, known.id.clone());
                match sessions.revoke_others(&own).await.unwrap() {
                    Others::Gone => assert!(!there),
                    Others::Revoked(ended) => {
                        assert!(there);
                        let mut others = 0;
                        if let Some(user) = user {
                            for other in self.of_user(user).filter(|other| other.id != own) {
                                (other.value, others) = (None, others + 1);
                            }
                        }
                        assert_eq!(ended, others);
                    }
                }
            }
            _ => {
                let found = sessions.load(&known.id).await.unwrap();
                if let Some(loaded) = &found {
                    known.seen = loaded.version;
                }
                assert_eq!(found.map(|loaded| loaded.value), known.value);
            }
        }
    }

    /// Every session that there was, and every list, says what the model says.
    async fn agrees(&mut self) {
        for known in &self.known {
            assert_eq!(value(&self.sessions, &known.id).await, known.value);
        }
        for user in 0..2 {
            let mut expected: Vec<_> =
                self.of_user(user).map(|known| known.id.reference().to_string()).collect();
            let listed = self.sessions.list(&format!("user-{user}")).await.unwrap();
            let mut listed: Vec<_> = listed.iter().map(|device| device.session.to_string()).collect();
            expected.sort();
            listed.sort();
            assert_eq!(listed, expected);
        }
    }
}

#[test]
fn sessions_follow_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let clock = TestClock::at_micros(START_US);
    let builder = Redis::builder(t.url()).namespace(t.redis.namespace().clone());
    let connect = builder.clock(Clock::Injected(clock.clone())).connect();
    let redis = runtime.block_on(Box::pin(connect)).unwrap();
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let limit = NonZeroU32::new(u32::try_from(LIMIT).unwrap()).unwrap();
            let options = Options::new().idle(LIFE).absolute(LIFE).max_sessions(limit, WhenFull::EndOldest);
            let sessions = Sessions::with_options(redis.clone(), options).unwrap();
            let mut model = Model { sessions, clock: clock.clone(), now: Duration::ZERO, known: Vec::new() };
            for step in steps {
                model.step(step).await;
            }
            model.agrees().await;
            t.delete_keys().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
