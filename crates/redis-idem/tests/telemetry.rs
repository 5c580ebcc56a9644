//! What the metrics count, and that they tell nothing of the requests.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, Fragile, begin, end_lease, start};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use redis_idem::{Error, Idempotency, Options, Takeover, telemetry};
use redis_patterns_testkit::harness::TestRedis;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs with a recorder of its own, on one thread since the recorder is the thread's.
fn recorded(work: impl AsyncFnOnce(TestRedis)) -> Snapshotter {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let Some(t) = TestRedis::standalone().await else { return };
            work(t).await;
        });
    });
    recorder.snapshotter()
}

/// `name{label values}` and what was counted; for durations, how many there were.
fn seen(snapshot: &Snapshotter) -> BTreeMap<String, u64> {
    let all = snapshot.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => 0,
        };
        (format!("{}{labels:?}", key.key().name()), count)
    });
    all.filter(|(name, _)| name.starts_with("redis_patterns_idem")).collect()
}

#[test]
fn each_answer_and_each_ending_is_counted() {
    let snapshot = recorded(async |t: TestRedis| {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "SECRET").await;
        let _ = begin(&requests, "SECRET", BODY).await;
        let _ = begin(&requests, "SECRET", "other").await;
        end_lease(&t.redis, claim.request()).await;
        let second = start(&requests, "SECRET").await;
        let _ = (claim.complete("late").await.unwrap(), second.complete("paid").await.unwrap());
        let _ = (begin(&requests, "SECRET", BODY).await, begin(&requests, "SECRET", BODY).await);
        let _ = start(&requests, "released").await.release().await.unwrap();
        let _ = start(&requests, "abandoned").await.abandon().await.unwrap();
        let doubting = Options::new().takeover(Takeover::InDoubt);
        let doubting = Idempotency::with_options(t.redis.clone(), doubting).unwrap();
        let _ = begin(&doubting, "abandoned", BODY).await;
        let _ = start(&requests, "unknown").await.indeterminate().await.unwrap();
        t.delete_keys().await;
    });
    let counted = seen(&snapshot);
    let of = |name: &str, label: &str| counted.get(&format!("{name}[{label:?}]")).copied().unwrap_or(0);
    let answers = ["started", "taken_over", "replay", "in_progress", "in_doubt", "mismatch", "error"];
    assert_eq!(answers.map(|answer| of(telemetry::BEGINS, answer)), [4, 1, 2, 1, 1, 1, 0]);
    let endings = ["completed", "released", "abandoned", "in_doubt", "lost"];
    assert_eq!(endings.map(|ending| of(telemetry::ENDINGS, ending)), [1; 5]);
    assert_eq!(endings.map(|ending| of(telemetry::WORK_SECONDS, ending)), [1; 5]);
    assert_eq!(counted[&format!("{}[]", telemetry::BEGIN_SECONDS)], 10);
    assert!(!format!("{counted:?}").contains("SECRET"));
}

#[test]
fn an_entry_that_the_trail_lacks_for_good_is_counted() {
    let snapshot = recorded(async |t: TestRedis| {
        let trail = Arc::new(Fragile::default());
        let options = Options::new().audit(trail.clone());
        let requests = Idempotency::with_options(t.redis.clone(), options).unwrap();
        let claim = start(&requests, "k").await;
        trail.away.store(true, Ordering::SeqCst);
        assert!(matches!(claim.complete("paid").await, Err(Error::Audit(_))));
        t.delete_keys().await;
    });
    let counted = seen(&snapshot);
    let lost = format!("{}[\"completed\"]", telemetry::AUDIT_ENTRIES_LOST);
    assert_eq!(
        (counted.get(&lost), counted.keys().filter(|name| name.contains("audit")).count()),
        (Some(&1), 1)
    );
    assert_eq!(counted[&format!("{}[\"completed\"]", telemetry::ENDINGS)], 1, "Redis has it");
}
