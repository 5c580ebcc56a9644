//! Lost replies, cut connections, a full server, a killed worker.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, begin, end_lease, replayed, start, started, stored};
use redis_idem::{Begin, Completion, Error, Fingerprint, Idempotency, Release, Scope};
use redis_patterns_core::Executed;
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options as ServerOptions;
use std::time::Duration;

/// An engine behind a proxy, with connections and scripts warm, and a handle beside the proxy.
async fn behind_a_proxy() -> Option<(TestRedis, Proxy, TestRedis, Idempotency)> {
    let beside = TestRedis::standalone().await?;
    let proxy = Proxy::start(beside.url()).await.unwrap();
    let mut through = TestRedis::at(&proxy.url()).await;
    through.redis = through.redis.with_namespace(beside.redis.namespace().clone());
    let requests = Idempotency::new(through.redis.clone());
    let warm = start(&requests, "warm").await;
    end_lease(&beside.redis, warm.request()).await;
    let _ = start(&requests, "warm").await.release().await.unwrap();
    let _ = start(&requests, "warm2").await.complete("").await.unwrap();
    beside.delete_keys().await;
    Some((beside, proxy, through, requests))
}

#[tokio::test]
async fn a_claim_whose_reply_is_lost_is_known_again_by_its_owner() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    for lost in [1, 2] {
        let before = proxy.counts().lost_replies;
        proxy.lose_replies(lost, Match::Command("SET"));
        let claim = start(&requests, &format!("k{lost}")).await;
        assert_eq!(proxy.counts().lost_replies - before, lost, "the fault did not happen");
        assert_eq!(claim.attempt(), 1);
        assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
    }
    beside.delete_keys().await;
}

#[tokio::test]
async fn a_claim_that_cannot_be_delivered_is_given_back() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    proxy.lose_replies(3, Match::Command("SET"));
    let asked = requests.begin(&Scope::tenant("acme"), "POST /pay", "k", Fingerprint::of(BODY)).await;
    let Err(Error::Redis(error)) = asked else { panic!("{asked:?}") };
    assert_eq!(error.executed(), Executed::Maybe, "{error}");
    assert_eq!(proxy.counts().lost_replies, 3, "the fault did not happen");
    let gone = async {
        while !beside.keys().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the claim stayed");
}

#[tokio::test]
async fn a_completion_whose_reply_is_lost_is_stored_once() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    let claim = start(&requests, "k").await;
    proxy.lose_replies(2, Match::Command("EVALSHA"));
    assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
    assert_eq!(proxy.counts().lost_replies, 2, "the fault did not happen");
    assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
    beside.delete_keys().await;
}

#[tokio::test]
async fn a_release_whose_reply_is_lost_is_a_release() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    let claim = start(&requests, "k").await;
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    assert_eq!(claim.release().await.unwrap(), Release::Released);
    assert_eq!(proxy.counts().lost_replies, 1, "the fault did not happen");
    assert_eq!(beside.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_takeover_whose_reply_is_lost_is_one_attempt() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    let died = start(&requests, "k").await;
    end_lease(&beside.redis, died.request()).await;
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    let second = start(&requests, "k").await;
    assert_eq!(proxy.counts().lost_replies, 1, "the fault did not happen");
    assert_eq!(second.attempt(), 2);
    assert_eq!(second.complete("x").await.unwrap(), Completion::Stored);
    beside.delete_keys().await;
}

#[tokio::test]
async fn a_claim_survives_cut_connections() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    let claim = start(&requests, "k").await;
    proxy.cut_all();
    assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
    proxy.cut_inside_request(1, Match::Command("SET"));
    assert_eq!(replayed(begin(&requests, "k", BODY).await), b"x");
    assert_eq!(proxy.counts().cut_requests, 1, "the fault did not happen");
    beside.delete_keys().await;
}

/// A dropped `complete` runs to its end: a client that goes away does not undo the record of its work.
#[tokio::test]
async fn a_completion_that_nobody_waits_for_is_stored() {
    let Some((beside, proxy, _through, requests)) = behind_a_proxy().await else { return };
    let claim = start(&requests, "k").await;
    proxy.delay(Duration::from_millis(50));
    let completing = tokio::time::timeout(Duration::from_millis(1), claim.complete("x")).await;
    assert!(completing.is_err(), "it was not dropped half way");
    proxy.heal();
    let done = async {
        while !matches!(begin(&requests, "k", BODY).await, Begin::Replay(_)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), done).await.expect("the outcome was not stored");
    beside.delete_keys().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_new_claims_and_takes_outcomes() {
    let server = own::standalone(ServerOptions::new()).await;
    let t = TestRedis::at(server.url()).await;
    let requests = Idempotency::new(t.redis.clone());
    let (to_complete, to_release) = (start(&requests, "a").await, start(&requests, "b").await);
    t.admin().cmd(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused = requests.begin(&Scope::tenant("acme"), "POST /pay", "c", Fingerprint::of(BODY)).await;
    let Err(error) = refused else { panic!("a full server granted a claim") };
    assert!(error.is_outage(), "{error}");
    assert_eq!(to_complete.complete("done").await.unwrap(), Completion::Stored);
    assert_eq!(to_release.release().await.unwrap(), Release::Released);
    t.admin().cmd(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(replayed(begin(&requests, "a", BODY).await), b"done");
    started(begin(&requests, "b", BODY).await);
}

/// Not a test by itself: the process that the next test kills.
#[test]
fn worker_that_dies_with_a_claim() {
    if !process::is_worker("worker_that_dies_with_a_claim") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let (url, namespace) = (lines.recv().unwrap(), lines.recv().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = redis_idem::Redis::connect(&url).await.unwrap();
        let redis = redis.with_namespace(redis_idem::Namespace::new(&namespace).unwrap());
        let claim = start(&Idempotency::new(redis), "k").await;
        process::say(claim.request());
        std::future::pending::<()>().await;
    });
}

#[tokio::test]
async fn a_killed_worker_costs_its_lease_and_no_more() {
    let Some(t) = TestRedis::standalone().await else { return };
    let requests = Idempotency::new(t.redis.clone());
    let mut worker = Worker::spawn_self_test("worker_that_dies_with_a_claim", &[]).unwrap();
    worker.send_line(t.url()).await.unwrap();
    worker.send_line(t.redis.namespace().as_str()).await.unwrap();
    let request = worker.next_line(Duration::from_secs(20)).await.unwrap();
    worker.kill().await.unwrap();
    assert!(stored(&t.redis, &request).await.0.is_some());
    assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
    end_lease(&t.redis, &request).await;
    let second = start(&requests, "k").await;
    assert_eq!(second.attempt(), 2);
    assert_eq!(second.complete("x").await.unwrap(), Completion::Stored);
    t.delete_keys().await;
}
