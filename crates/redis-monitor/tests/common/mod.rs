//! What the tests share.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use redis_monitor::{Doctor, DoctorOptions, Report, SIGNALS, Severity};
use redis_patterns_testkit::servers::{Node, Options};
use std::time::Duration;

/// A server with nothing to report, on a loaded machine too: no command is logged as slow.
pub fn healthy() -> Options {
    Options::new().append_only().max_memory(256 << 20).set("slowlog-max-len", "0")
}

pub fn options() -> DoctorOptions {
    DoctorOptions::new().interval(Duration::from_millis(50)).deadline(Duration::from_secs(10))
}

pub async fn examine(url: &str) -> Report {
    examine_with(url, options()).await
}

pub async fn examine_with(url: &str, options: DoctorOptions) -> Report {
    let mut doctor = Doctor::connect(url, options).await.unwrap();
    let report = doctor.examine().await;
    doctor.close().await;
    report
}

/// The signals that spoke; for a server alone without `no-replica`.
pub fn spoke(report: &Report) -> Vec<&str> {
    let mut signals: Vec<_> = report
        .findings
        .iter()
        .map(|finding| finding.signal)
        .filter(|signal| *signal != "no-replica")
        .collect();
    signals.dedup();
    signals
}

/// Asserts that the signal spoke with its severity and advice; gives back what was measured.
pub fn told(report: &Report, signal: &str, severity: Severity) -> String {
    let finding = report.of(signal).next().unwrap_or_else(|| panic!("no {signal}: {:?}", report.findings));
    assert_eq!(finding.severity, severity, "{finding:?}");
    let advice = SIGNALS.iter().find(|known| known.name == signal).unwrap().advice;
    assert_eq!(finding.advice, advice);
    finding.measured.clone()
}

/// One command at a server, words apart by a space.
pub fn set(node: &Node, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    node.conn().unwrap().cmd(&words).unwrap();
}
