//! Long work, lost claims, requests in doubt, and those who settle them.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{BODY, begin, end_lease, key_of, replayed, start, started};
use redis_idem::{
    Begin, Claim, Completion, Fingerprint, Heartbeat, Idempotency, Judge, Options, Release, Resolution,
    Resolved, Scope, Takeover, Verdict,
};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn engine(t: &TestRedis, takeover: Takeover) -> Idempotency {
    Idempotency::with_options(t.redis.clone(), Options::new().takeover(takeover)).unwrap()
}

/// An engine whose leases are short enough for a test to see them renewed.
fn hasty(t: &TestRedis) -> Idempotency {
    let options = Options::new().lease(Duration::from_millis(300)).retention(Duration::from_secs(60));
    Idempotency::with_options(t.redis.clone(), options).unwrap()
}

async fn resolve(requests: &Idempotency, key: &str, resolution: Resolution) -> Resolved {
    requests.resolve(&Scope::tenant("acme"), "POST /pay", key, resolution).await.unwrap()
}

/// Waits until the claim's TTL went up: it gave a sign of life.
async fn until_renewed(t: &TestRedis, claim: &Claim) {
    let key = key_of(&t.redis, claim.request());
    let expires = async || t.redis.command::<i64>("PEXPIRETIME", &[&key], &Args::new()).await.unwrap();
    let before = expires().await;
    let renewed = async {
        while expires().await <= before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed).await.expect("it gave no sign of life");
}

struct Ledger {
    says: Verdict,
    asked: AtomicU32,
}

#[async_trait::async_trait]
impl Judge for Ledger {
    async fn judge(&self, request: &str, attempts: u32) -> Verdict {
        assert_eq!((request.len(), attempts), (64, 1));
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.says.clone()
    }
}

fn ledger(says: Verdict) -> Arc<Ledger> {
    Arc::new(Ledger { says, asked: AtomicU32::new(0) })
}

on_every_topology! {
    async fn a_heartbeat_starts_the_lease_anew(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        end_lease(&t.redis, claim.request()).await;
        assert_eq!(claim.heartbeat().await.unwrap(), Heartbeat::Renewed);
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
        end_lease(&t.redis, claim.request()).await;
        let second = start(&requests, "k").await;
        assert_eq!(claim.heartbeat().await.unwrap(), Heartbeat::Lost);
        assert_eq!(second.heartbeat().await.unwrap(), Heartbeat::Renewed);
    }

    async fn held_work_outlives_its_lease(t: TestRedis) {
        let requests = hasty(&t);
        let claim = start(&requests, "k").await;
        let (t, held) = (&t, &claim);
        let lost = claim.hold_while(|loss| async move {
            for _ in 0..3 {
                until_renewed(t, held).await;
            }
            loss.happened()
        }).await;
        assert!(!lost);
        assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
    }

    async fn held_work_hears_that_its_claim_is_lost(t: TestRedis) {
        let requests = hasty(&t);
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        let work = |mut loss: redis_idem::Loss| async move {
            t.redis.command::<()>("DEL", &[&key], &Args::new()).await.unwrap();
            loss.wait().await;
            loss.happened()
        };
        let told = tokio::time::timeout(Duration::from_secs(10), claim.hold_while(work)).await;
        assert!(told.expect("it heard nothing"));
        assert_eq!(claim.complete("x").await.unwrap(), Completion::Lost);
    }

    async fn work_that_must_not_run_twice_is_left_in_doubt(t: TestRedis) {
        let requests = engine(&t, Takeover::InDoubt);
        let died = start(&requests, "k").await;
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
        end_lease(&t.redis, died.request()).await;
        for _ in 0..3 {
            assert!(matches!(begin(&requests, "k", BODY).await, Begin::InDoubt));
            assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
        }
        let rerunning = Idempotency::new(t.redis.clone());
        assert!(matches!(begin(&rerunning, "k", BODY).await, Begin::InDoubt), "whatever the other's options");
        assert!(t.ttl_ms(&t.keys().await[0]).await > 0);
    }

    async fn a_first_run_that_ends_after_all_settles_the_doubt(t: TestRedis) {
        let requests = engine(&t, Takeover::InDoubt);
        let slow = start(&requests, "k").await;
        end_lease(&t.redis, slow.request()).await;
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InDoubt));
        assert_eq!(slow.heartbeat().await.unwrap(), Heartbeat::Lost);
        assert_eq!(slow.complete("paid").await.unwrap(), Completion::Stored);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
    }

    async fn a_doubt_cannot_be_released_by_the_one_who_left_it(t: TestRedis) {
        let requests = engine(&t, Takeover::InDoubt);
        let slow = start(&requests, "k").await;
        end_lease(&t.redis, slow.request()).await;
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InDoubt));
        assert_eq!(slow.release().await.unwrap(), Release::Lost);
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InDoubt));
    }

    async fn indeterminate_work_is_in_doubt_at_once(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        assert_eq!(start(&requests, "k").await.indeterminate().await.unwrap(), Completion::Stored);
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InDoubt));
        assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
    }

    async fn a_doubt_is_settled_with_an_outcome_or_by_another_run(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        for key in ["a", "b"] {
            let _ = start(&requests, key).await.indeterminate().await.unwrap();
        }
        let found = Resolution::Done(Bytes::from("found in the books"));
        assert_eq!(resolve(&requests, "a", found.clone()).await, Resolved::Settled);
        assert_eq!(replayed(begin(&requests, "a", BODY).await), b"found in the books");
        assert_eq!(resolve(&requests, "b", Resolution::Rerun).await, Resolved::Settled);
        assert!(matches!(begin(&requests, "b", "other").await, Begin::Mismatch));
        assert_eq!(started(begin(&requests, "b", BODY).await).attempt(), 2);
        for key in ["a", "b", "never"] {
            assert_eq!(resolve(&requests, key, found.clone()).await, Resolved::NotInDoubt, "{key}");
        }
    }

    async fn a_judge_who_knows_the_outcome_has_it_replayed(t: TestRedis) {
        let judge = ledger(Verdict::Done(Bytes::from("booked")));
        let requests = engine(&t, Takeover::Ask(judge.clone()));
        end_lease(&t.redis, start(&requests, "k").await.request()).await;
        for _ in 0..3 {
            assert_eq!(replayed(begin(&requests, "k", BODY).await), b"booked");
        }
        assert_eq!(judge.asked.load(Ordering::SeqCst), 1);
    }

    async fn a_judge_may_let_it_run_or_leave_it_in_doubt(t: TestRedis) {
        let requests = engine(&t, Takeover::Ask(ledger(Verdict::Rerun)));
        end_lease(&t.redis, start(&requests, "a").await.request()).await;
        assert_eq!(start(&requests, "a").await.attempt(), 2);
        let requests = engine(&t, Takeover::Ask(ledger(Verdict::InDoubt)));
        end_lease(&t.redis, start(&requests, "b").await.request()).await;
        assert!(matches!(begin(&requests, "b", BODY).await, Begin::InDoubt));
    }

    /// A judge is asked about abandoned requests only, and by one caller at a time.
    async fn one_caller_at_a_time_asks_the_judge(t: TestRedis) {
        let judge = ledger(Verdict::Done(Bytes::from("booked")));
        let requests = engine(&t, Takeover::Ask(judge.clone()));
        let first = start(&requests, "k").await;
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
        assert_eq!(judge.asked.load(Ordering::SeqCst), 0);
        end_lease(&t.redis, first.request()).await;
        let callers: Vec<_> = (0..8).map(|_| {
            let requests = requests.clone();
            tokio::spawn(async move { begin(&requests, "k", BODY).await })
        }).collect();
        for caller in callers {
            let answer = caller.await.unwrap();
            assert!(matches!(answer, Begin::Replay(_) | Begin::InProgress { .. }), "{answer:?}");
        }
        assert_eq!(judge.asked.load(Ordering::SeqCst), 1);
    }
}

/// Signs of life that do not get through: the work hears of it within about a lease.
#[tokio::test(flavor = "multi_thread")]
async fn work_cut_off_from_redis_hears_that_its_lease_went_by() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let claim = start(&hasty(&through), "k").await;
    proxy.stall();
    let told = tokio::time::timeout(
        Duration::from_secs(10),
        claim.hold_while(|mut loss| async move {
            loss.wait().await;
        }),
    );
    told.await.expect("it heard nothing");
    assert!(proxy.counts().stalled > 0, "the fault did not happen");
    proxy.heal();
    through.delete_keys().await;
}

#[tokio::test]
async fn a_fingerprint_is_asked_before_a_doubt_is_told() {
    let Some(t) = TestRedis::standalone().await else { return };
    let requests = Idempotency::new(t.redis.clone());
    let ask = |body: &'static str| {
        let requests = requests.clone();
        async move { requests.begin(&Scope::Global, "op", "k", Fingerprint::of(body)).await.unwrap() }
    };
    let _ = started(ask("a").await).indeterminate().await.unwrap();
    assert!(matches!(ask("b").await, Begin::Mismatch));
    assert!(matches!(ask("a").await, Begin::InDoubt));
    t.delete_keys().await;
}
