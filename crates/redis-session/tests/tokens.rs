//! One-time tokens: one test per sentence of their docs.

#![allow(clippy::unwrap_used)]

use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{
    Binding, Consumed, Error, Issue, OneTimeToken, OneTimeTokens, Purpose, SessionId, Sessions,
};
use std::time::Duration;

const RESET: Purpose = Purpose::new("password-reset");
const LOGIN: Purpose = Purpose::new("magic-link");
const QUARTER: Duration = Duration::from_secs(15 * 60);

fn resets(t: &TestRedis) -> OneTimeTokens<u64> {
    OneTimeTokens::new(t.redis.clone(), RESET, QUARTER).unwrap()
}

/// Without a cool-down.
fn eager(t: &TestRedis) -> OneTimeTokens<u64> {
    resets(t).cool_down(Duration::ZERO).unwrap()
}

async fn issue(tokens: &OneTimeTokens<u64>, subject: &str, value: u64) -> OneTimeToken {
    tokens.issue(subject, &value).await.unwrap().issued().expect("it was issued")
}

/// Brings the expiry of the one key of the test to `ttl_ms` from now, or to the past.
async fn expire(t: &TestRedis, ttl_ms: u32) {
    let [key] = &t.keys().await[..] else { panic!("one key was expected") };
    let ttl_ms = ttl_ms.to_string();
    let moved = if ttl_ms == "0" { ["PEXPIREAT", key, "1"] } else { ["PEXPIRE", key, &ttl_ms] };
    for mut node in t.admin_nodes() {
        // In a cluster only one node has the key; the others point to it.
        let _ = node.cmd(&moved);
    }
}

on_every_topology! {
    async fn a_token_is_consumed_once(t: TestRedis) {
        let resets = resets(&t);
        let token = issue(&resets, "ann", 42).await;
        let [key] = &t.keys().await[..] else { panic!() };
        assert!((1..=900_000).contains(&t.ttl_ms(key).await));
        assert_eq!(resets.consume(&token).await.unwrap(), Some(42));
        assert_eq!(resets.consume(&token).await.unwrap(), None);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn an_expired_token_is_unknown(t: TestRedis) {
        let resets = resets(&t);
        let token = issue(&resets, "ann", 42).await;
        expire(&t, 0).await;
        assert_eq!(resets.peek(&token).await.unwrap(), None);
        assert_eq!(resets.consume(&token).await.unwrap(), None);
    }

    async fn a_token_of_another_purpose_is_unknown_and_stays(t: TestRedis) {
        let resets = resets(&t);
        let logins = OneTimeTokens::<u64>::new(t.redis.clone(), LOGIN, QUARTER).unwrap();
        let token = issue(&resets, "ann", 42).await;
        let _other = issue(&logins, "ann", 7).await;
        assert_eq!(logins.peek(&token).await.unwrap(), None);
        assert_eq!(logins.consume(&token).await.unwrap(), None);
        assert_eq!(resets.consume(&token).await.unwrap(), Some(42));
    }

    /// HEAD and two GETs by scanners, a GET by the user, then the form: only the form spends it.
    async fn peeking_consumes_nothing(t: TestRedis) {
        let resets = resets(&t);
        let token = issue(&resets, "ann", 42).await;
        expire(&t, 60_000).await;
        for _ in 0..4 {
            assert_eq!(resets.peek(&token).await.unwrap(), Some(42));
        }
        assert!(t.ttl_ms(&t.keys().await[0]).await <= 60_000, "peeking prolonged it");
        assert_eq!(resets.consume(&token).await.unwrap(), Some(42));
        assert_eq!(resets.peek(&token).await.unwrap(), None);
    }

    async fn the_next_token_of_a_subject_voids_the_last(t: TestRedis) {
        let resets = eager(&t);
        let (first, of_bob) = (issue(&resets, "ann", 1).await, issue(&resets, "bob", 3).await);
        let second = issue(&resets, "ann", 2).await;
        assert_eq!(t.keys().await.len(), 2, "a subject has one");
        assert_eq!(resets.peek(&first).await.unwrap(), None);
        assert_eq!(resets.consume(&first).await.unwrap(), None);
        assert_eq!(resets.consume(&second).await.unwrap(), Some(2));
        assert_eq!(resets.consume(&of_bob).await.unwrap(), Some(3));
    }

    async fn the_next_token_comes_after_the_cool_down(t: TestRedis) {
        let resets = resets(&t);
        let first = issue(&resets, "ann", 1).await;
        let Issue::TooSoon { retry_after } = resets.issue("ann", &2).await.unwrap() else { panic!() };
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(60), "{retry_after:?}");
        assert_eq!(resets.peek(&first).await.unwrap(), Some(1), "asking too soon changes nothing");
        let _of_bob = issue(&resets, "bob", 3).await;
        t.delete_keys().await;
        let _first = issue(&resets, "ann", 1).await;
        expire(&t, 14 * 60_000 + 2).await;
        // Two milliseconds at most are left of the minute.
        while let Issue::TooSoon { retry_after } = resets.issue("ann", &2).await.unwrap() {
            assert!(retry_after <= Duration::from_millis(2));
        }
    }

    async fn a_consumed_token_leaves_no_cool_down(t: TestRedis) {
        let resets = resets(&t);
        let first = issue(&resets, "ann", 1).await;
        assert_eq!(resets.consume(&first).await.unwrap(), Some(1));
        let second = issue(&resets, "ann", 2).await;
        assert_eq!(resets.consume(&second).await.unwrap(), Some(2));
    }

    async fn a_token_is_void_once_the_stamp_has_changed(t: TestRedis) {
        let resets = eager(&t);
        let (before, after) = (Binding::none().stamp("hash 1"), Binding::none().stamp("hash 2"));
        let token = resets.issue_bound("ann", &1, &before).await.unwrap().issued().unwrap();
        for other in [after, Binding::none().stamp(""), Binding::none()] {
            assert_eq!(resets.consume_bound(&token, &other).await.unwrap(), Consumed::StampChanged);
        }
        assert_eq!(resets.consume(&token).await.unwrap(), None);
        assert_eq!(resets.consume_bound(&token, &before).await.unwrap(), Consumed::Value(1));
        assert_eq!(resets.consume_bound(&token, &before).await.unwrap(), Consumed::Unknown);
        let unbound = issue(&resets, "ann", 1).await;
        assert_eq!(resets.consume_bound(&unbound, &before).await.unwrap(), Consumed::StampChanged);
    }

    async fn a_token_serves_the_browser_that_asked(t: TestRedis) {
        let resets = resets(&t);
        let bound = Binding::none().stamp("s").browser("ann's");
        let token = resets.issue_bound("ann", &1, &bound).await.unwrap().issued().unwrap();
        let scanner = Binding::none().stamp("s");
        assert_eq!(resets.peek(&token).await.unwrap(), Some(1));
        assert_eq!(resets.consume_bound(&token, &scanner).await.unwrap(), Consumed::OtherBrowser);
        assert_eq!(resets.consume_bound(&token, &scanner.browser("bob's")).await.unwrap(), Consumed::OtherBrowser);
        // What a stamp is bound to is nothing to a browser.
        assert_eq!(
            resets.consume_bound(&token, &Binding::none().stamp("ann's").browser("s")).await.unwrap(),
            Consumed::StampChanged
        );
        assert_eq!(resets.consume_bound(&token, &bound).await.unwrap(), Consumed::Value(1));
    }

    async fn of_many_who_bring_a_token_one_gets_its_value(t: TestRedis) {
        let resets = eager(&t);
        let elsewhere = OneTimeTokens::<u64>::new(t.another().await, RESET, QUARTER).unwrap();
        for round in 0..20 {
            let token = issue(&resets, "ann", round).await;
            let tasks: Vec<_> = (0..16).map(|n| {
                let (resets, token) = (if n % 2 == 0 { resets.clone() } else { elsewhere.clone() }, token.clone());
                tokio::spawn(async move { resets.consume(&token).await.unwrap() })
            }).collect();
            let mut values = Vec::new();
            for task in tasks {
                values.extend(task.await.unwrap());
            }
            assert_eq!(values, [round]);
        }
    }

    async fn a_token_is_no_session_and_a_session_no_token(t: TestRedis) {
        let (sessions, resets) = (Sessions::<u64>::new(t.redis.clone()), resets(&t));
        let token = issue(&resets, "ann", 42).await;
        let id = sessions.create(&7).await.unwrap();
        let token_as_id = SessionId::parse(&format!("{}{}", &id.expose()[..32], &token.expose()[32..])).unwrap();
        let id_as_token = OneTimeToken::parse(&format!("{}{}", &token.expose()[..32], &id.expose()[32..])).unwrap();
        assert_eq!(sessions.load(&token_as_id).await.unwrap(), None);
        assert_eq!(resets.consume(&id_as_token).await.unwrap(), None);
        assert_eq!(resets.consume(&token).await.unwrap(), Some(42));
        assert_eq!(*sessions.load(&id).await.unwrap().unwrap(), 7);
    }
}

/// Counted at the wire: what this client sent.
#[tokio::test]
async fn every_operation_is_one_round_trip() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let resets = resets(&through);
    // The first of each script brings its source; that is the second round trip of its life.
    let warm = issue(&resets, "warm", 1).await;
    let _ = resets.consume(&warm).await.unwrap();

    let mut before = proxy.counts().requests;
    let mut one = |operation: &str| {
        let now = proxy.counts().requests;
        assert_eq!(now - before, 1, "{operation}");
        before = now;
    };
    let token = issue(&resets, "ann", 1).await;
    one("issue");
    let _ = resets.issue("ann", &1).await.unwrap();
    one("issue too soon");
    let _ = resets.peek(&token).await.unwrap();
    one("peek");
    let _ = resets.consume(&token).await.unwrap();
    one("consume");
    let _ = resets.consume(&token).await.unwrap();
    one("consume again");
    through.delete_keys().await;
}

#[tokio::test]
async fn a_lost_reply_costs_an_issue_nothing_and_a_consumer_the_token() {
    let Some(beside) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let resets = resets(&through);
    let warm = issue(&resets, "warm", 1).await;
    assert_eq!(resets.consume(&warm).await.unwrap(), Some(1));

    proxy.lose_replies(2, Match::Command("EVALSHA"));
    let token = issue(&resets, "ann", 2).await;
    proxy.lose_replies(1, Match::Command("HMGET"));
    assert_eq!(resets.peek(&token).await.unwrap(), Some(2));
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    let lost = resets.consume(&token).await.unwrap_err();
    assert!(lost.is_outage() && lost.to_string().contains("may have been applied"), "{lost}");
    assert_eq!(proxy.counts().lost_replies, 4, "the faults did not happen");
    assert_eq!(resets.consume(&token).await.unwrap(), None);
    assert_eq!(through.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn times_out_of_range_are_refused_before_anything_is_sent() {
    let Some(t) = TestRedis::standalone().await else { return };
    for wrong in [Duration::ZERO, Duration::from_nanos(999_999), Duration::MAX] {
        let tokens = OneTimeTokens::<u64>::new(t.redis.clone(), RESET, wrong);
        assert!(matches!(tokens, Err(Error::Options(_))), "{wrong:?}");
    }
    let over = resets(&t).cool_down(QUARTER + Duration::from_millis(1));
    assert!(matches!(over, Err(Error::Options(_))));
    assert!(resets(&t).cool_down(QUARTER).is_ok());
}
