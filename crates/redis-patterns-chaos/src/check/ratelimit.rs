//! R1: never more than the limit. R2: no denial while there was room. E2: one execution per call.

use super::{Findings, Scene, number, of, word};
use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::BTreeMap;

/// Long limits outlast the run.
const LONG_MS: u64 = 3_600_000;

#[derive(Default)]
struct Calls<'a> {
    allowed: Vec<&'a Operation>,
    denied: u64,
    unknown: u64,
}

pub(super) fn check(scene: &Scene<'_>, findings: &mut Findings) {
    let mut subjects: BTreeMap<&str, Calls<'_>> = BTreeMap::new();
    for op in scene.ops.iter().filter(|op| op.op == "check") {
        let calls = subjects.entry(&op.input).or_default();
        match (op.outcome, op.output.as_str()) {
            (Kind::Ok, "allowed") => calls.allowed.push(op),
            (Kind::Ok, _) => calls.denied += 1,
            (Kind::Info, _) => calls.unknown += 1,
            _ => {}
        }
    }
    findings.fact("subjects", subjects.len() as u64);
    for (subject, calls) in &subjects {
        let (kind, limit, period_ms) = (word(subject, 0), number(subject, 1), number(subject, 2));
        findings.fact("admitted", calls.allowed.len() as u64);
        findings.fact("denied", calls.denied);
        let over = over(kind, limit, period_ms, &calls.allowed);
        findings.rule("R1").add(over, || format!("{subject}: {over} more than {limit}"));
        let had = calls.allowed.len() as u64 + calls.unknown;
        let needless = if calls.denied > 0 && period_ms >= LONG_MS { limit.saturating_sub(had) } else { 0 };
        findings.rule("R2").add(needless, || format!("{subject}: {had} admitted of {limit}"));
    }
    if let Some(counted) = of(scene.ops, "counted", Kind::Ok).next() {
        let calls = scene.ops.iter().filter(|op| op.op == "check").count() as u64;
        let more = number(&counted.output, 0).saturating_sub(calls);
        findings.rule("E2").add(more, || format!("{} executions of {calls} calls", counted.output));
    }
}

/// How many units were admitted above the bound, in the worst window.
///
/// The server's moment of a call lies between its invoke and its return, so only calls that lie in
/// a window whole are counted: this never accuses wrongly.
fn over(kind: &str, limit: u64, period_ms: u64, allowed: &[&Operation]) -> u64 {
    let mut invoked: Vec<u64> = allowed.iter().map(|op| op.invoked_ns).collect();
    let mut returned: Vec<u64> = allowed.iter().map(|op| op.returned_ns).collect();
    invoked.sort_unstable();
    returned.sort_unstable();
    let period_ns = period_ms * 1_000_000;
    if kind == "bucket" {
        return over_bucket(limit, period_ns, &invoked, &returned);
    }
    let mut worst = 0;
    let mut within = 0;
    for (before, from) in invoked.iter().enumerate() {
        while within < returned.len() && returned[within] < from + period_ns {
            within += 1;
        }
        worst = worst.max(within.saturating_sub(before) as u64);
    }
    worst.saturating_sub(limit)
}

/// A bucket admits its burst and what flows in meanwhile: at most limit + t * limit / period.
fn over_bucket(limit: u64, period_ns: u64, invoked: &[u64], returned: &[u64]) -> u64 {
    let flow = |ns: u64| ns as f64 * limit as f64 / period_ns as f64;
    let (mut least, mut next, mut worst) = (f64::INFINITY, 0, 0.0_f64);
    let zero = invoked.first().copied().unwrap_or_default();
    for (after, to) in returned.iter().enumerate() {
        while next < invoked.len() && invoked[next] <= *to {
            least = least.min(next as f64 - flow(invoked[next] - zero));
            next += 1;
        }
        worst = worst.max((after + 1) as f64 - flow(to - zero) - least);
    }
    // Two microseconds of the server's clock against ours, in units.
    let over = worst - limit as f64 - flow(2_000) - 1e-6;
    if over >= 1.0 { over as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::super::made::{judge, op};
    use crate::pattern::Pattern;

    const MS: u64 = 1_000_000;

    #[test]
    fn one_more_than_the_limit_is_seen_and_a_window_later_is_free() {
        let at = |ms: u64| op("check", "log 2 400 s", "allowed", ms * MS, ms * MS + 1);
        assert_eq!(judge(Pattern::Ratelimit, &[at(0), at(10), at(410)]).count("R1"), 0);
        assert_eq!(judge(Pattern::Ratelimit, &[at(0), at(10), at(390)]).count("R1"), 1);
    }

    #[test]
    fn a_bucket_admits_what_flows_in() {
        let at = |ms: u64| op("check", "bucket 2 400 s", "allowed", ms * MS, ms * MS + 1);
        assert_eq!(judge(Pattern::Ratelimit, &[at(0), at(1), at(201)]).count("R1"), 0);
        assert_eq!(judge(Pattern::Ratelimit, &[at(0), at(1), at(2), at(3)]).count("R1"), 1);
    }

    #[test]
    fn a_denial_while_there_is_room_is_seen() {
        let long = |said: &str| op("check", "fixed 2 3600000 s", said, 0, 1);
        assert_eq!(judge(Pattern::Ratelimit, &[long("allowed"), long("denied")]).count("R2"), 1);
        assert_eq!(
            judge(Pattern::Ratelimit, &[long("allowed"), long("allowed"), long("denied")]).count("R2"),
            0
        );
    }
}
