//! Subjects, guesses and stored bytes that try to leak, meet or be misread; and what is logged.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::ErrorKind;
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{CodeOptions, Codes, Error, OneTimeToken, OneTimeTokens, Pepper, Purpose, Verdict};
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::time::Duration;

const RESET: Purpose = Purpose::new("password-reset");
const HOUR: Duration = Duration::from_secs(3_600);

fn tokens(t: &TestRedis) -> OneTimeTokens<u64> {
    OneTimeTokens::new(t.redis.clone(), RESET, HOUR).unwrap()
}

fn codes(t: &TestRedis) -> Codes<u64> {
    let many = NonZeroU32::MAX;
    let options = CodeOptions::new().attempts(many).failures(many, HOUR);
    Codes::new(t.redis.clone(), RESET, Pepper::new(&[7; 32]), options).unwrap()
}

/// A value that cannot be read is an error that quotes nothing.
fn codec_error<T: Debug>(answer: Result<T, Error>) {
    let Err(Error::Redis(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
}

/// Sets a field of the one hash of the test.
async fn spoil(t: &TestRedis, field: &str, value: &str) {
    let keys = t.keys().await;
    for mut node in t.admin_nodes() {
        // In a cluster only one node has the key; the others point to it.
        let _ = node.cmd(&["HSET", &keys[0], field, value]);
    }
}

on_every_topology! {
    async fn subjects_of_any_bytes_do_not_meet(t: TestRedis) {
        let (tokens, codes) = (tokens(&t), codes(&t));
        let subjects = hostile::small_ids();
        let mut issued = Vec::new();
        for (value, subject) in (0..).zip(&subjects) {
            issued.push((
                tokens.issue(subject, &value).await.unwrap().issued().unwrap(),
                codes.issue(subject, &value).await.unwrap().issued().unwrap(),
            ));
        }
        for ((value, subject), (token, code)) in (0..).zip(&subjects).zip(issued) {
            assert_eq!(tokens.consume(&token).await.unwrap(), Some(value));
            assert_eq!(codes.verify(subject, code.expose()).await.unwrap(), Verdict::Right(value));
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn guesses_of_any_text_are_wrong(t: TestRedis) {
        let codes = codes(&t);
        let _code = codes.issue("ann", &1).await.unwrap().issued().unwrap();
        for guess in hostile::ids() {
            let Ok(guess) = String::from_utf8(guess) else { continue };
            let verdict = codes.verify("ann", &guess).await.unwrap();
            assert!(matches!(verdict, Verdict::Wrong { .. }), "{} bytes: {verdict:?}", guess.len());
        }
    }

    async fn a_token_that_was_cut_changed_or_made_up_is_unknown(t: TestRedis) {
        let tokens = tokens(&t);
        let token = tokens.issue("ann", &1).await.unwrap().issued().unwrap().expose();
        for place in [0, 31, 32, 95] {
            let mut other = token.clone().into_bytes();
            other[place] = if other[place] == b'0' { b'1' } else { b'0' };
            let other = OneTimeToken::parse(std::str::from_utf8(&other).unwrap()).unwrap();
            assert_eq!(tokens.peek(&other).await.unwrap(), None);
            assert_eq!(tokens.consume(&other).await.unwrap(), None);
        }
        for cut in [&token[1..], &token[..95], &format!("{token}0"), &token.to_uppercase(), &format!(" {token}")] {
            assert!(OneTimeToken::parse(cut).is_none());
        }
        // What Redis holds is no way in.
        let stored = t.keys().await[0].split(['{', '}']).nth(1).unwrap().to_owned();
        let made_up = OneTimeToken::parse(&format!("{stored}{}", "0".repeat(64))).unwrap();
        assert_eq!(tokens.consume(&made_up).await.unwrap(), None);
        assert_eq!(tokens.consume(&OneTimeToken::parse(&token).unwrap()).await.unwrap(), Some(1));
    }

    async fn stored_values_that_cannot_be_read_are_errors_that_quote_nothing(t: TestRedis) {
        let (tokens, codes) = (tokens(&t), codes(&t));
        for value in ["", "SECRET", "\u{a7}", "\u{a7}\u{1}\u{1}\"SECRET\""] {
            let token = tokens.issue("ann", &1).await.unwrap().issued().unwrap();
            spoil(&t, "value", value).await;
            codec_error(tokens.peek(&token).await);
            codec_error(tokens.consume(&token).await);
            assert_eq!(tokens.consume(&token).await.unwrap(), None, "it is spent");
            let code = codes.issue("ann", &1).await.unwrap().issued().unwrap();
            spoil(&t, "value", value).await;
            codec_error(codes.verify("ann", code.expose()).await);
            assert_eq!(codes.verify("ann", code.expose()).await.unwrap(), Verdict::NoCode, "it is spent");
        }
    }

    async fn keys_of_another_type_are_errors_and_stay(t: TestRedis) {
        let (tokens, codes) = (tokens(&t), codes(&t));
        let token = tokens.issue("ann", &1).await.unwrap().issued().unwrap();
        let _code = codes.issue("ann", &1).await.unwrap().issued().unwrap();
        let keys = t.keys().await;
        for mut node in t.admin_nodes() {
            for key in &keys {
                let _ = node.cmd(&["SET", key, "SECRET", "PX", "60000"]);
            }
        }
        let failed = [
            tokens.issue("ann", &2).await.err(),
            tokens.peek(&token).await.err(),
            tokens.consume(&token).await.err(),
            codes.issue("ann", &2).await.err(),
            codes.verify("ann", "000000").await.err(),
        ];
        for error in failed {
            let error = error.expect("it was read");
            assert!(!error.is_outage(), "{error}");
            assert!(!format!("{error} {error:?}").contains("SECRET"));
        }
        assert_eq!(t.keys().await, keys);
    }
}
