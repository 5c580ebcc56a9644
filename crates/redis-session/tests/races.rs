//! Requests that overtake each other: schedules that revive sessions or spend tokens twice elsewhere.

#![allow(clippy::unwrap_used)]

mod common;

use common::{log_in, value};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{LogIn, Login, Revocation, Rotation, Sessions, Swap, Update};
use std::time::Duration;

on_every_topology! {
    /// A slow request loaded the session before the log-out and writes it after.
    async fn a_log_out_is_not_undone_by_a_request_under_way(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let elsewhere = Sessions::<u64>::new(t.another().await);
        let id = sessions.create(&1).await.unwrap();
        let loaded = sessions.load(&id).await.unwrap().unwrap();
        assert_eq!(elsewhere.revoke(&id).await.unwrap(), Revocation::Revoked);
        assert_eq!(sessions.update(&id, &(loaded.value + 1)).await.unwrap(), Update::Gone);
        assert_eq!(value(&sessions, &id).await, None);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    /// Writers and readers hammer a session while it is revoked: after the answer, nobody gets in.
    async fn once_revoked_no_crowd_brings_it_back(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        for _ in 0..20 {
            let id = sessions.create(&0).await.unwrap();
            let crowd: Vec<_> = (0..8_u64).map(|n| {
                let (sessions, id) = (sessions.clone(), id.clone());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let _ = sessions.load(&id).await.unwrap();
                        let _ = sessions.update(&id, &n).await.unwrap();
                    }
                })
            }).collect();
            tokio::task::yield_now().await;
            assert_eq!(sessions.revoke(&id).await.unwrap(), Revocation::Revoked);
            assert_eq!(value(&sessions, &id).await, None);
            for member in crowd {
                member.await.unwrap();
            }
            assert_eq!(value(&sessions, &id).await, None);
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
    }
}

/// Each race that other stores were seen to lose, as one schedule; whether this store kept to the truth.
async fn scoreboard(t: &TestRedis) -> Vec<(&'static str, bool)> {
    let slow = Sessions::<Vec<String>>::new(t.redis.clone());
    let fast = Sessions::<Vec<String>>::new(t.another().await);
    let (cart, theme) = ("cart".to_owned(), "theme".to_owned());
    let mut board = Vec::new();

    let id = log_in(&slow, "lost", &vec![]).await;
    let (one, other) = tokio::join!(
        slow.modify(&id, |fields| fields.push(cart.clone())),
        fast.modify(&id, |fields| fields.push(theme.clone()))
    );
    let both = (one.unwrap(), other.unwrap()) == (Update::Updated, Update::Updated);
    let fields = value(&slow, &id).await.unwrap();
    board.push(("two requests change different fields", both && fields.len() == 2));

    let id = log_in(&slow, "out", &vec![]).await;
    let before = slow.load(&id).await.unwrap().unwrap();
    let _ = fast.revoke(&id).await.unwrap();
    let late = slow.update(&id, &before.value).await.unwrap();
    board
        .push(("a log-out during a slow request", late == Update::Gone && value(&slow, &id).await.is_none()));

    let anonymous = slow.create(&vec![]).await.unwrap();
    let before = slow.load(&anonymous).await.unwrap().unwrap();
    let login = Login::of("in").replaces(&anonymous);
    let LogIn::Begun(id) = fast.log_in(login, &vec![theme.clone()]).await.unwrap() else { panic!() };
    let late = slow.update_if(&anonymous, &vec![cart.clone()], before.version).await.unwrap();
    let kept = value(&slow, &id).await == Some(vec![theme.clone()]);
    board.push(("a log-in during a slow request", late == Swap::Gone && kept));

    // What a request wants is one call, made once it has answered well (see `http.rs` for the layer
    // that does so): one that fails before has not sent it.
    let id = log_in(&slow, "5xx", &vec![]).await;
    drop(fast.rotate(&id, &vec![]));
    board.push(("a request that fails before its new id is sent", value(&slow, &id).await.is_some()));

    let id = log_in(&slow, "revive", &vec![]).await;
    let _ = slow.load(&id).await.unwrap();
    let _ = fast.revoke_all("revive").await.unwrap();
    let gone = slow.update(&id, &vec![]).await.unwrap() == Update::Gone
        && slow.rotate(&id, &vec![]).await.unwrap() == Rotation::Gone
        && slow.modify(&id, |_| {}).await.unwrap() == Update::Gone;
    board.push(("revival under a new id", gone && slow.list("revive").await.unwrap().is_empty()));
    board
}

#[tokio::test]
async fn the_scoreboard_is_clean() {
    let Some(t) = TestRedis::standalone().await else { return };
    let board = scoreboard(&t).await;
    for (race, kept) in &board {
        println!("{race:50} {}", if *kept { "kept" } else { "LOST" });
    }
    assert!(board.len() == 5 && board.iter().all(|(_, kept)| *kept), "{board:?}");
    t.delete_keys().await;
}

/// A proxy, a handle through it, and one beside it for the checks.
async fn behind_a_proxy() -> Option<(TestRedis, Proxy, TestRedis)> {
    let beside = TestRedis::standalone().await?;
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let mut through = TestRedis::at(&proxy.url()).await;
    through.redis = through.redis.with_namespace(beside.redis.namespace().clone());
    Some((beside, proxy, through))
}

#[tokio::test]
async fn a_lost_reply_costs_a_load_or_a_log_out_nothing() {
    let Some((beside, proxy, through)) = behind_a_proxy().await else { return };
    let sessions = Sessions::<u64>::new(through.redis.clone());
    let id = sessions.create(&1).await.unwrap();
    proxy.lose_replies(2, Match::Command("EVALSHA"));
    assert_eq!(value(&sessions, &id).await, Some(1));
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    assert_eq!(sessions.revoke(&id).await.unwrap(), Revocation::AlreadyGone);
    assert_eq!(proxy.counts().lost_replies, 3, "the fault did not happen");
    assert_eq!(beside.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_update_is_sent_once() {
    let Some((beside, proxy, through)) = behind_a_proxy().await else { return };
    let sessions = Sessions::<u64>::new(through.redis.clone());
    let id = sessions.create(&0).await.unwrap();
    let _ = sessions.update(&id, &1).await.unwrap();
    let sent = proxy.counts().of("EVALSHA");
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    assert!(sessions.update(&id, &2).await.is_err());
    assert_eq!(proxy.counts().of("EVALSHA") - sent, 1);
    assert_eq!(value(&Sessions::<u64>::new(beside.redis.clone()), &id).await, Some(2));
    beside.delete_keys().await;
}

#[tokio::test]
async fn a_log_out_that_nobody_waits_for_happens() {
    let Some((beside, proxy, through)) = behind_a_proxy().await else { return };
    let sessions = Sessions::<u64>::new(through.redis.clone());
    let id = sessions.create(&1).await.unwrap();
    proxy.delay(Duration::from_millis(50));
    assert!(tokio::time::timeout(Duration::from_millis(1), sessions.revoke(&id)).await.is_err());
    let gone = async {
        while !beside.keys().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the session stayed");
}
