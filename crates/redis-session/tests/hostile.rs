//! Secrets and stored bytes that try to leak, meet, or be misread.

#![allow(clippy::unwrap_used)]

mod common;

use common::value;
use redis_patterns_core::{Args, ErrorKind, Tag};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{
    Error, Login, OneTimeToken, OneTimeTokens, Options, Purpose, SessionId, Sessions, Update,
};
use std::num::NonZeroUsize;
use std::time::Duration;

const RESET: Purpose = Purpose::new("password-reset");
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// The place and the hash in the name of a session's key.
fn parts(name: &str) -> (String, String) {
    let (place, hash) = name.rsplit_once("}:").unwrap();
    (place.rsplit('{').next().unwrap().to_owned(), hash.to_owned())
}

#[test]
fn nothing_hostile_is_taken_for_a_secret() {
    for id in hostile::ids() {
        let Ok(text) = String::from_utf8(id) else { continue };
        assert!(
            SessionId::parse(&text).is_none() && OneTimeToken::parse(&text).is_none(),
            "{} bytes",
            text.len()
        );
    }
}

on_every_topology! {
    async fn redis_never_sees_a_secret_and_debug_shows_none(t: TestRedis) {
        let sessions = Sessions::<String>::new(t.redis.clone());
        let resets = OneTimeTokens::<String>::new(t.redis.clone(), RESET, QUARTER).unwrap();
        let id = sessions.create(&"x".to_owned()).await.unwrap();
        let token = resets.issue("ann", &"x".to_owned()).await.unwrap().issued().unwrap();
        let mut seen = format!("{id:?} {token:?} {sessions:?} {resets:?}");
        for key in t.keys().await {
            seen.push_str(&key);
        }
        // The first digits of each are its place, which is no secret.
        for secret in [id.expose()[32..].to_owned(), token.expose()[32..].to_owned()] {
            // No part of it either: eight digits are enough to be no accident.
            for start in 0..secret.len() - 8 {
                assert!(!seen.contains(&secret[start..start + 8]));
            }
        }
        assert_eq!(format!("{id:?} {token:?}"), "SessionId(..) OneTimeToken(..)");
    }

    async fn a_key_of_redis_is_no_way_in(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let _id = sessions.create(&1).await.unwrap();
        let (place, hash) = parts(&t.keys().await[0]);
        let as_id = SessionId::parse(&format!("{place}{hash}")).expect("it has the form of an id");
        assert_eq!(value(&sessions, &as_id).await, None);
        assert_eq!(sessions.update(&as_id, &2).await.unwrap(), Update::Gone);
    }

    async fn stored_bytes_that_cannot_be_read_are_an_error_that_quotes_nothing(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = sessions.create(&1).await.unwrap();
        let name = t.keys().await.remove(0);
        let (place, hash) = parts(&name);
        let key = t.redis.namespace().part("sess", &Tag::of(place), &hash);
        assert_eq!(key.as_str(), name);
        let in_time = b"999999999999917000000000001700000000000";
        let version = b"0123456789abcdef";
        let envelopes: [&[u8]; 8] = [
            b"",
            b"SECRET",
            b"\xA7",
            b"\xA7\x01\x01",
            b"\xA7\x01\x01\"SECRET\"",
            b"\xA7\x02\x011",
            b"\xA7\x01\x021",
            b"\xA7\x01\x091",
        ];
        let mut stored: Vec<Vec<u8>> =
            envelopes.iter().map(|bytes| [in_time, &version[..], b"n000", bytes].concat()).collect();
        for head in ["n0", "n999", "n0é", "n-01", "n+01"] {
            stored.push([in_time, &version[..], head.as_bytes(), b"SECRET"].concat());
        }
        stored.push([in_time, &b"0123456789SECRET"[..], b"n000", b"\xA7\x01\x011"].concat());
        stored.extend([b"".to_vec(), b"SECRET".to_vec(), b"a deadline was here".to_vec()]);
        stored.push(in_time[..13].to_vec());
        for bytes in stored {
            t.redis.command::<()>("SET", &[&key], &Args::new().bytes(&bytes).word("PX").int(60_000)).await.unwrap();
            let Err(Error::Redis(error)) = sessions.load(&id).await else { panic!("{bytes:?} was read") };
            assert_eq!(error.kind(), ErrorKind::Codec);
            let seen = format!("{error} {error:?}");
            assert!(!seen.contains("SECRET") && !seen.contains(&id.expose()), "{seen}");
        }
        // What cannot be read can still be ended.
        let _ = sessions.revoke(&id).await.unwrap();
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn values_of_any_size_come_back(t: TestRedis) {
        let options = Options::new().max_bytes(NonZeroUsize::MAX);
        let sessions = Sessions::<Vec<u8>>::with_options(t.redis.clone(), options).unwrap();
        for size in [0, 1, 65_536, 1 << 20] {
            let bytes = vec![0xA7; size];
            let id = sessions.create(&bytes).await.unwrap();
            assert_eq!(value(&sessions, &id).await, Some(bytes));
        }
    }

    async fn a_value_over_the_limit_is_refused_before_anything_is_sent(t: TestRedis) {
        // An envelope of three bytes and two quotes.
        let options = Options::new().max_bytes(NonZeroUsize::new(3 + 2 + 10).unwrap());
        let sessions = Sessions::<String>::with_options(t.redis.clone(), options).unwrap();
        let (fits, over) = ("x".repeat(10), "x".repeat(11));
        let refused = |error: Error| matches!(error, Error::TooLarge { bytes: 16, limit: 15 });
        assert!(refused(sessions.create(&over).await.unwrap_err()));
        assert!(refused(sessions.log_in(Login::of("42"), &over).await.unwrap_err()));
        assert_eq!(t.keys().await, Vec::<String>::new());
        let id = sessions.create(&fits).await.unwrap();
        assert!(refused(sessions.update(&id, &over).await.unwrap_err()));
        assert!(refused(sessions.rotate(&id, &over).await.unwrap_err()));
        assert!(refused(sessions.modify(&id, |value| value.push('x')).await.unwrap_err()));
        assert_eq!(value(&sessions, &id).await, Some(fits));
    }

    async fn hostile_text_comes_back_as_it_was(t: TestRedis) {
        let sessions = Sessions::<String>::new(t.redis.clone());
        for id in hostile::small_ids() {
            let Ok(text) = String::from_utf8(id) else { continue };
            let id = sessions.create(&text).await.unwrap();
            assert_eq!(value(&sessions, &id).await, Some(text));
        }
    }
}
