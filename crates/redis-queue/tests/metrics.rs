//! What the metrics of the crate count, and that no label says who or what.

mod common;

use common::{eventually, processing};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_queue::{Outcome, Queue, QueueOptions, WorkerOptions, telemetry};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

// One thread: the recorder is the thread's own.
#[tokio::test]
async fn pushes_and_handled_jobs_are_counted_by_what_became_of_them() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let queue = Queue::with_options(
        t.redis.clone(),
        "secret name",
        QueueOptions::default().max_len(NonZeroU64::new(2).unwrap()),
    );
    for payload in ["good", "bad", "one too many"] {
        let _ = queue.push(payload).await.unwrap();
    }
    let handler = |job: redis_queue::Job| async move {
        if job.payload() == b"bad" { Outcome::Dead { reason: "bad".to_owned() } } else { Outcome::Done }
    };
    let worker = queue.run(WorkerOptions::default(), handler).await.unwrap();
    eventually("both are settled", || async {
        queue.depth().await.unwrap() == 0 && processing(&t.redis, "secret name").await == 0
    })
    .await;
    worker.stop().await;

    let mut counted = BTreeMap::new();
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let number = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => continue,
        };
        counted.insert((key.key().name().to_owned(), labels.join(",")), number);
    }
    let of =
        |name: &str, label: &str| counted.get(&(name.to_owned(), label.to_owned())).copied().unwrap_or(0);
    assert_eq!((of(telemetry::PUSHES, "accepted"), of(telemetry::PUSHES, "full")), (2, 1), "{counted:?}");
    assert_eq!((of(telemetry::HANDLED, "done"), of(telemetry::HANDLED, "dead")), (1, 1), "{counted:?}");
    assert_eq!(
        (of(telemetry::HANDLER_SECONDS, ""), of(telemetry::WAITED_SECONDS, "")),
        (2, 2),
        "{counted:?}"
    );
    assert!(!format!("{counted:?}").contains("secret"), "{counted:?}");
}
