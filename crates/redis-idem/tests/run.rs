//! The whole of it in one call.

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{BODY, LEASE, end_lease, start, until_listening};
use redis_idem::{Attempt, Completion, Ending, Fingerprint, Idempotency, Run, Scope};
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// One run of `work` under the key and scope of these tests.
async fn run<W, F>(requests: &Idempotency, body: &str, work: W) -> Run<Bytes>
where
    W: FnOnce(Attempt) -> F + Send + 'static,
    F: Future<Output = Ending<Bytes>> + Send + 'static,
{
    requests.run(&Scope::Global, "op", "k", Fingerprint::of(body), work).await.unwrap()
}

async fn done(_: Attempt) -> Ending<Bytes> {
    Ending::Complete("x".into())
}

on_every_topology! {
    async fn work_runs_once_and_is_replayed(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let runs = Arc::new(AtomicU32::new(0));
        for call in 0..3 {
            let counted = runs.clone();
            let answer = run(&requests, "b", move |attempt| async move {
                assert_eq!((attempt.number, attempt.request.len(), attempt.loss.happened()), (1, 64, false));
                Ending::Complete(counted.fetch_add(1, Ordering::SeqCst).to_string().into())
            }).await;
            match answer {
                Run::Ran(outcome) if call == 0 => assert_eq!(outcome, "0"),
                Run::Replayed(outcome) if call > 0 => assert_eq!(outcome, "0"),
                other => panic!("call {call}: {other:?}"),
            }
        }
        assert!(matches!(run(&requests, "other", done).await, Run::Mismatch));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    async fn released_work_runs_again_and_indeterminate_work_does_not(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let refused = run(&requests, "b", |_| async { Ending::Release("no".into()) }).await;
        assert!(matches!(refused, Run::Ran(outcome) if outcome == "no"));
        assert_eq!(t.keys().await, Vec::<String>::new());
        let unknown = run(&requests, "b", |_| async { Ending::Indeterminate("?".into()) }).await;
        assert!(matches!(unknown, Run::Ran(outcome) if outcome == "?"));
        assert!(matches!(run(&requests, "b", done).await, Run::InDoubt));
    }

    /// A caller who goes away does not cut the work short, nor keep its outcome from being stored.
    async fn work_that_nobody_waits_for_ends_and_is_stored(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let (started, has_started) = oneshot::channel();
        let (go, may_go) = oneshot::channel::<()>();
        let caller = tokio::spawn({
            let requests = requests.clone();
            async move {
                run(&requests, "b", |_| async {
                    started.send(()).unwrap();
                    may_go.await.unwrap();
                    Ending::Complete("x".into())
                }).await
            }
        });
        has_started.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert!(matches!(run(&requests, "b", done).await, Run::InProgress { .. }));
        go.send(()).unwrap();
        let stored = async {
            while !matches!(run(&requests, "b", done).await, Run::Replayed(_)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), stored).await.expect("the outcome was not stored");
    }

    async fn work_that_was_taken_over_says_so(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let (redis, second) = (t.redis.clone(), requests.clone());
        let slow = run(&requests, "b", |attempt| async move {
            end_lease(&redis, &attempt.request).await;
            let run = second.run(&Scope::Global, "op", "k", Fingerprint::of("b"), |attempt| async move {
                Ending::Complete(attempt.number.to_string().into())
            }).await.unwrap();
            assert!(matches!(run, Run::Ran(outcome) if outcome == "2"));
            Ending::Complete("slow".into())
        }).await;
        assert!(matches!(slow, Run::Lost(outcome) if outcome == "slow"));
        assert!(matches!(run(&requests, "b", done).await, Run::Replayed(outcome) if outcome == "2"));
    }

    /// Somebody else's run is waited for, and its outcome is the caller's.
    async fn a_caller_may_wait_for_the_work_of_another(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let request = claim.request().to_owned();
        let waiting = tokio::spawn({
            let requests = requests.clone();
            async move {
                let (scope, fingerprint) = (Scope::tenant("acme"), Fingerprint::of(BODY));
                let begun = requests.begin_or_wait(&scope, "POST /pay", "k", fingerprint, LEASE * 2).await;
                begun.unwrap().run(done).await.unwrap()
            }
        });
        until_listening(&t, &request, 1).await;
        assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
        assert!(matches!(waiting.await.unwrap(), Run::Replayed(outcome) if outcome == "paid"));
    }

    async fn a_panic_of_the_work_is_the_callers_and_abandons_the_claim(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let panicking = tokio::spawn({
            let requests = requests.clone();
            async move { run(&requests, "b", |_| async { panic!("half way") }).await }
        });
        assert!(panicking.await.unwrap_err().is_panic());
        assert!(matches!(run(&requests, "b", done).await, Run::InProgress { .. }));
    }
}

/// Redis goes away while the work runs: its caller still gets the outcome, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_could_not_be_recorded_still_reaches_its_caller() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let requests = Idempotency::new(through.redis.with_deadline(Duration::from_millis(100)));
    let proxy = Arc::new(proxy);
    let breaking = proxy.clone();
    let answer = run(&requests, "b", |_| async move {
        breaking.refuse();
        breaking.cut_all();
        Ending::Complete("x".into())
    })
    .await;
    let Run::Unrecorded(outcome, error) = answer else { panic!("{answer:?}") };
    assert_eq!(outcome, "x");
    assert!(error.is_outage(), "{error}");
    proxy.heal();
}

#[cfg(feature = "json")]
mod json {
    use super::*;
    use redis_idem::Error;
    use serde::{Deserialize, Serialize, Serializer};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Receipt {
        number: u64,
        #[serde(serialize_with = "only_even")]
        amount: u64,
    }

    fn only_even<S: Serializer>(amount: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if amount % 2 == 1 {
            return Err(serde::ser::Error::custom("odd"));
        }
        serializer.serialize_u64(*amount)
    }

    async fn pay(requests: &Idempotency, amount: u64) -> Result<Run<Receipt>, Error> {
        let work = move |_| async move { Ending::Complete(Receipt { number: 1, amount }) };
        requests.run_json(&Scope::Global, "op", "k", Fingerprint::of("b"), work).await
    }

    on_every_topology! {
        async fn a_typed_outcome_is_replayed(t: TestRedis) {
            let requests = Idempotency::new(t.redis.clone());
            let receipt = Receipt { number: 1, amount: 10 };
            assert!(matches!(pay(&requests, 10).await.unwrap(), Run::Ran(got) if got == receipt));
            assert!(matches!(pay(&requests, 12).await.unwrap(), Run::Replayed(got) if got == receipt));
        }

        /// The work is done and cannot be stored: running it again would do it twice.
        async fn an_outcome_without_an_encoding_leaves_the_request_in_doubt(t: TestRedis) {
            let requests = Idempotency::new(t.redis.clone());
            assert!(pay(&requests, 11).await.is_err());
            assert!(matches!(pay(&requests, 10).await.unwrap(), Run::InDoubt));
        }
    }
}
