//! What the metrics of the crate count, and that no label says who or what.

mod common;

use common::{HOUR, hourly, key, many, plant};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::{Gate, WhenDown, telemetry};
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

/// Name, labels in order, value; of a histogram, how many were recorded.
fn seen(snapshots: &Snapshotter) -> BTreeMap<String, u64> {
    let entry = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(gauge) => panic!("a gauge: {gauge}"),
        };
        (format!("{} {}", key.key().name(), labels.join(" ")).trim_end().to_owned(), value)
    };
    snapshots.snapshot().into_vec().into_iter().map(entry).collect()
}

#[tokio::test]
async fn every_decision_is_counted_once_with_its_source() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = Gate::new(hourly(&t.redis, 2), WhenDown::FailOpen)
        .cache_denials(NonZeroUsize::MIN)
        .breaker(NonZeroU32::MIN, HOUR);
    for _ in 0..5 {
        let _ = gate.check("ann").await.unwrap();
    }
    // A mistake is not counted as a decision, and neither is what was never asked.
    plant(&t.redis, &key(&t.redis, "bob"), "no number").await;
    assert!(gate.check("bob").await.is_err() && gate.check_n("ann", many(3)).await.is_err());
    server.node().kill().unwrap();
    for _ in 0..4 {
        let _ = gate.check("cid").await.unwrap();
    }
    let expected = [
        (telemetry::CHECK_SECONDS, "", 5),
        (telemetry::DECISIONS, " allowed redis", 2),
        (telemetry::DECISIONS, " degraded fallback", 4),
        (telemetry::DECISIONS, " denied local_denial", 2),
        (telemetry::DECISIONS, " denied redis", 1),
        (telemetry::ERRORS, " other", 1),
        (telemetry::ERRORS, " outage", 1),
    ];
    let expected = expected.map(|(name, labels, count)| (format!("{name}{labels}"), count));
    assert_eq!(seen(&snapshots), BTreeMap::from(expected));
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_shadow_denial_is_counted() {
    use axum::http::Request;
    use redis_ratelimit::http::{By, RateLimitLayer};
    use tower::{Layer as _, ServiceExt as _, service_fn};

    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let gate = Gate::new(hourly(&t.redis, 1), WhenDown::FailOpen);
    let layer = RateLimitLayer::new(gate, By::path()).shadow();
    for _ in 0..3 {
        let handler =
            service_fn(async |_| Ok::<_, std::convert::Infallible>(http::Response::new(String::new())));
        let answer = layer.layer(handler).oneshot(Request::get("/x").body(()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let seen = seen(&snapshots);
    assert_eq!(seen.get(telemetry::SHADOW_DENIALS), Some(&2), "{seen:?}");
    assert_eq!(seen.get(&format!("{} denied redis", telemetry::DECISIONS)), Some(&2));
}
