//! Codes: one test per sentence of their docs.

#![allow(clippy::unwrap_used)]

use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{Binding, Code, CodeOptions, Codes, Digits, Error, Issue, Pepper, Purpose, Verdict};
use std::num::NonZeroU32;
use std::time::Duration;

const LOGIN: Purpose = Purpose::new("log-in code");
const STEP_UP: Purpose = Purpose::new("step up");
const MINUTE: Duration = Duration::from_secs(60);

fn pepper() -> Pepper {
    Pepper::new(&[7; 32])
}

fn codes_with(t: &TestRedis, options: CodeOptions) -> Codes<u64> {
    Codes::new(t.redis.clone(), LOGIN, pepper(), options).unwrap()
}

/// Three guesses at a code, five wrong ones at an identity, no cool-down.
fn codes(t: &TestRedis) -> Codes<u64> {
    let options = CodeOptions::new().attempts(three()).failures(NonZeroU32::new(5).unwrap(), 60 * MINUTE);
    codes_with(t, options.cool_down(Duration::ZERO))
}

fn three() -> NonZeroU32 {
    NonZeroU32::new(3).unwrap()
}

async fn issue(codes: &Codes<u64>, identity: &str, value: u64) -> Code {
    codes.issue(identity, &value).await.unwrap().issued().expect("it was issued")
}

/// Another code of the same length.
fn not(code: &Code) -> String {
    let first = if code.expose().starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code.expose()[1..])
}

fn locked_for<T: std::fmt::Debug>(verdict: Verdict<T>) -> Duration {
    let Verdict::Locked { retry_after } = verdict else { panic!("{verdict:?}") };
    retry_after
}

on_every_topology! {
    async fn a_right_guess_spends_the_code(t: TestRedis) {
        let codes = codes(&t);
        let code = issue(&codes, "ann", 42).await;
        assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::Right(42));
        assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::NoCode);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn fewer_guesses_hold_for_codes_that_are_out(t: TestRedis) {
        let (before, failures) = (codes(&t), NonZeroU32::new(5).unwrap());
        let code = issue(&before, "ann", 42).await;
        for left in [2, 1] {
            assert_eq!(before.verify("ann", &not(&code)).await.unwrap(), Verdict::Wrong { left });
        }
        let fewer = CodeOptions::new().attempts(NonZeroU32::MIN).failures(failures, 60 * MINUTE);
        let now = codes_with(&t, fewer.cool_down(Duration::ZERO));
        for guess in [&not(&code), code.expose()] {
            assert_eq!(now.verify("ann", guess).await.unwrap(), Verdict::NoCode);
        }
        assert_eq!(before.verify("ann", code.expose()).await.unwrap(), Verdict::NoCode);
    }

    async fn gaps_in_a_guess_do_not_count(t: TestRedis) {
        let codes = codes(&t);
        let code = issue(&codes, "ann", 42).await;
        let (left, right) = code.expose().split_at(3);
        assert_eq!(codes.verify("ann", &format!(" {left}-{right}\u{a0}\n")).await.unwrap(), Verdict::Right(42));
    }

    async fn a_code_allows_few_guesses(t: TestRedis) {
        let codes = codes(&t);
        let code = issue(&codes, "ann", 42).await;
        for left in [2, 1, 0] {
            assert_eq!(codes.verify("ann", &not(&code)).await.unwrap(), Verdict::Wrong { left });
        }
        assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::NoCode, "the code is void");
    }

    async fn wrong_guesses_outlive_the_code(t: TestRedis) {
        let codes = codes(&t);
        let first = issue(&codes, "ann", 1).await;
        for _ in 0..3 {
            let _ = codes.verify("ann", &not(&first)).await.unwrap();
        }
        let second = issue(&codes, "ann", 2).await;
        for left in [1, 0] {
            assert_eq!(codes.verify("ann", &not(&second)).await.unwrap(), Verdict::Wrong { left });
        }
        let wait = locked_for(codes.verify("ann", second.expose()).await.unwrap());
        assert!(wait > 59 * MINUTE && wait <= 60 * MINUTE, "{wait:?}");
        let Issue::TooSoon { retry_after } = codes.issue("ann", &3).await.unwrap() else { panic!("issued") };
        assert!(retry_after > 59 * MINUTE && retry_after <= 60 * MINUTE, "{retry_after:?}");
        // Others are not locked, nor is the same identity for another purpose.
        let of_bob = issue(&codes, "bob", 4).await;
        assert_eq!(codes.verify("bob", of_bob.expose()).await.unwrap(), Verdict::Right(4));
        let other = Codes::<u64>::new(t.redis.clone(), STEP_UP, pepper(), CodeOptions::new()).unwrap();
        assert!(matches!(other.issue("ann", &5).await.unwrap(), Issue::Issued(_)));
    }

    async fn a_right_guess_forgets_the_wrong_ones_and_so_does_an_unlock(t: TestRedis) {
        let codes = codes(&t);
        for _ in 0..3 {
            let code = issue(&codes, "ann", 1).await;
            for _ in 0..2 {
                let _ = codes.verify("ann", &not(&code)).await.unwrap();
            }
            assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::Right(1));
        }
        for _ in 0..2 {
            let code = issue(&codes, "ann", 1).await;
            for _ in 0..3 {
                let _ = codes.verify("ann", &not(&code)).await.unwrap();
            }
        }
        assert!(locked_for(codes.verify("ann", "000000").await.unwrap()) > Duration::ZERO);
        assert!(codes.unlock("ann").await.unwrap());
        assert!(!codes.unlock("ann").await.unwrap());
        let code = issue(&codes, "ann", 1).await;
        assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::Right(1));
    }

    async fn the_next_code_voids_the_last_and_comes_after_the_cool_down(t: TestRedis) {
        let eager = codes(&t);
        let first = issue(&eager, "ann", 1).await;
        let second = issue(&eager, "ann", 2).await;
        if first != second {
            assert_eq!(eager.verify("ann", first.expose()).await.unwrap(), Verdict::Wrong { left: 2 });
        }
        let codes = codes_with(&t, CodeOptions::new());
        let Issue::TooSoon { retry_after } = codes.issue("ann", &3).await.unwrap() else { panic!("issued") };
        assert!(retry_after > Duration::ZERO && retry_after <= MINUTE, "{retry_after:?}");
        assert_eq!(codes.verify("ann", second.expose()).await.unwrap(), Verdict::Right(2));
        let _third = issue(&codes, "ann", 3).await;
    }

    /// Else five wrong guesses would buy the next message at once.
    async fn a_void_code_leaves_its_cool_down(t: TestRedis) {
        let codes = codes_with(&t, CodeOptions::new().attempts(three()));
        let code = issue(&codes, "ann", 1).await;
        for _ in 0..3 {
            let _ = codes.verify("ann", &not(&code)).await.unwrap();
        }
        assert!(matches!(codes.issue("ann", &2).await.unwrap(), Issue::TooSoon { .. }));
    }

    async fn a_code_of_another_purpose_identity_binding_or_pepper_is_wrong(t: TestRedis) {
        let codes = codes_with(&t, CodeOptions::new().cool_down(Duration::ZERO));
        let bound = Binding::none().browser("ann's");
        let code = codes.issue_bound("ann", &1, &bound).await.unwrap().issued().unwrap();
        for other in [Binding::none(), Binding::none().browser("bob's"), Binding::none().stamp("ann's")] {
            let verdict = codes.verify_bound("ann", code.expose(), &other).await.unwrap();
            assert!(matches!(verdict, Verdict::Wrong { .. }), "{other:?}");
        }
        let others = [
            Codes::<u64>::new(t.redis.clone(), STEP_UP, pepper(), CodeOptions::new()).unwrap(),
            Codes::new(t.redis.clone(), LOGIN, Pepper::new(&[8; 32]), CodeOptions::new()).unwrap(),
        ];
        for other in others {
            assert_eq!(other.verify_bound("ann", code.expose(), &bound).await.unwrap(), Verdict::NoCode);
        }
        assert_eq!(codes.verify_bound("bob", code.expose(), &bound).await.unwrap(), Verdict::NoCode);
        assert_eq!(codes.verify_bound("ann", code.expose(), &bound).await.unwrap(), Verdict::Right(1));
    }

    /// Side by side: an account and a name that nobody has.
    async fn an_unknown_account_answers_as_a_known_one(t: TestRedis) {
        let codes = codes_with(&t, CodeOptions::new().attempts(three()).failures(three(), 60 * MINUTE));
        let code = issue(&codes, "ann", 42).await;
        assert_eq!(codes.decoy("nobody").await.unwrap(), Issue::Issued(()));
        assert!(matches!(codes.issue("ann", &42).await.unwrap(), Issue::TooSoon { .. }));
        assert!(matches!(codes.decoy("nobody").await.unwrap(), Issue::TooSoon { .. }));
        for left in [2, 1, 0] {
            for identity in ["ann", "nobody"] {
                assert_eq!(codes.verify(identity, &not(&code)).await.unwrap(), Verdict::Wrong { left });
            }
        }
        for identity in ["ann", "nobody"] {
            assert!(locked_for(codes.verify(identity, code.expose()).await.unwrap()) > 59 * MINUTE);
        }
    }

    async fn every_key_has_a_ttl_and_none_names_anybody(t: TestRedis) {
        let codes = codes(&t);
        let code = issue(&codes, "ann@example.com", 1).await;
        let _ = codes.verify("ann@example.com", &not(&code)).await.unwrap();
        let keys = t.keys().await;
        assert_eq!(keys.len(), 2);
        for key in keys {
            assert!(t.ttl_ms(&key).await > 0, "{key}");
            assert!(!key.contains("ann"), "{key}");
        }
    }
}

/// Counted at the wire: what this client sent, for an account and for a name that nobody has.
#[tokio::test]
async fn every_operation_is_one_round_trip() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let codes = codes(&through);
    // The first of each script brings its source; that is the second round trip of its life.
    let warm = issue(&codes, "warm", 1).await;
    let _ = codes.verify("warm", warm.expose()).await.unwrap();

    let mut before = proxy.counts().requests;
    let mut one = |operation: &str| {
        let now = proxy.counts().requests;
        assert_eq!(now - before, 1, "{operation}");
        before = now;
    };
    let code = issue(&codes, "ann", 1).await;
    one("issue");
    let _ = codes.decoy("nobody").await.unwrap();
    one("decoy");
    for identity in ["ann", "nobody"] {
        let _ = codes.verify(identity, &not(&code)).await.unwrap();
        one("a wrong guess");
    }
    let _ = codes.verify("ann", code.expose()).await.unwrap();
    one("a right guess");
    let _ = codes.unlock("ann").await.unwrap();
    one("unlock");
    through.delete_keys().await;
}

#[tokio::test]
async fn a_lost_reply_costs_an_issue_nothing_and_counts_a_guess_once() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let codes = codes(&through);
    let warm = issue(&codes, "warm", 1).await;
    let _ = codes.verify("warm", warm.expose()).await.unwrap();

    proxy.lose_replies(2, Match::Command("EVALSHA"));
    let code = issue(&codes, "ann", 2).await;
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    let lost = codes.verify("ann", &not(&code)).await.unwrap_err();
    assert!(lost.is_outage() && lost.to_string().contains("may have been applied"), "{lost}");
    assert_eq!(proxy.counts().lost_replies, 3, "the faults did not happen");
    assert_eq!(codes.verify("ann", &not(&code)).await.unwrap(), Verdict::Wrong { left: 1 });
    assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::Right(2));
    through.delete_keys().await;
}

#[tokio::test]
async fn codes_have_the_length_that_was_asked_and_debug_shows_none() {
    let Some(t) = TestRedis::standalone().await else { return };
    for (digits, length) in [(Digits::Six, 6), (Digits::Seven, 7), (Digits::Eight, 8)] {
        let codes = codes_with(&t, CodeOptions::new().digits(digits));
        let code = issue(&codes, &format!("ann{length}"), 1).await;
        assert!(code.expose().len() == length && code.expose().bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(format!("{code:?}"), "Code(..)");
        assert!(!format!("{codes:?}").contains(code.expose()));
    }
    t.delete_keys().await;
}

#[tokio::test]
async fn times_out_of_range_are_refused_before_anything_is_sent() {
    let Some(t) = TestRedis::standalone().await else { return };
    let refused = |options: CodeOptions| {
        let codes = Codes::<u64>::new(t.redis.clone(), LOGIN, pepper(), options);
        assert!(matches!(codes, Err(Error::Options(_))));
    };
    for wrong in [Duration::ZERO, Duration::from_nanos(999_999), Duration::MAX] {
        refused(CodeOptions::new().ttl(wrong).cool_down(Duration::ZERO));
        refused(CodeOptions::new().failures(three(), wrong));
    }
    refused(CodeOptions::new().cool_down(10 * MINUTE + Duration::from_millis(1)));
}
