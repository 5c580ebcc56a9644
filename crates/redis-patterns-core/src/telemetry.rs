//! Names of spans and fields, and the way to metrics, the same in every crate.
//!
//! Field names follow the OpenTelemetry conventions for databases (`db.system.name`,
//! `db.operation.name`, `db.response.status_code`). Keys, ids and tenants are never fields or labels.
//!
//! With the feature `metrics` the functions here write to the recorder of the `metrics` crate;
//! without it they do nothing, so that a pattern calls them in either case.

use std::time::Duration;

/// The target of every event and span.
pub const TARGET: &str = "redis_patterns";
/// The span around one command or script.
pub const SPAN_CALL: &str = "redis.call";
/// The value of `db.system.name`.
pub const DB_SYSTEM: &str = "redis";
/// The prefix of metric names: `redis_patterns_<pattern>_<what>_total`.
pub const METRIC_PREFIX: &str = "redis_patterns";

/// A label of a metric: its name and value, each from a small set that the code spells out.
pub type Label = (&'static str, &'static str);

/// Adds `by` to a counter.
#[inline]
pub fn count(name: &'static str, labels: &[Label], by: u64) {
    #[cfg(feature = "metrics")]
    metrics::counter!(name, labels).increment(by);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, labels, by);
}

/// Sets a gauge.
#[inline]
pub fn gauge(name: &'static str, labels: &[Label], value: f64) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(name, labels).set(value);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, labels, value);
}

/// Adds a duration, in seconds, to a histogram.
#[inline]
pub fn seconds(name: &'static str, labels: &[Label], duration: Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(name, labels).record(duration);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, labels, duration);
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    #[test]
    fn each_kind_reaches_the_recorder_with_its_labels() {
        let recorder = DebuggingRecorder::new();
        let seen = recorder.snapshotter();
        metrics::with_local_recorder(&recorder, || {
            count("calls", &[("outcome", "allowed")], 2);
            gauge("depth", &[], 3.0);
            seconds("wait", &[], Duration::from_millis(1500));
        });
        let mut values: Vec<String> = seen
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| {
                let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
                let value = match value {
                    DebugValue::Counter(count) => count.to_string(),
                    DebugValue::Gauge(gauge) => gauge.to_string(),
                    DebugValue::Histogram(values) => format!("{values:?}"),
                };
                format!("{}{labels:?} {value}", key.key().name())
            })
            .collect();
        values.sort();
        assert_eq!(values, ["calls[\"allowed\"] 2", "depth[] 3", "wait[] [1.5]"]);
    }
}
