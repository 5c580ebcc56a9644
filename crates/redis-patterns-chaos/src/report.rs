//! The verdict of a cell, its line, and its JSON.

use crate::check::Findings;
use crate::nemesis::Done;
use crate::ring::{Cell, Ring};
use redis_patterns_testkit::faults::history::{Kind, Operation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a cell showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    #[serde(rename = "HOLDS")]
    Holds,
    #[serde(rename = "HOLDS WITH PUBLISHED LOSS")]
    Loss,
    #[serde(rename = "VIOLATED")]
    Violated,
    #[serde(rename = "NOT EXERCISED")]
    NotExercised,
    #[serde(rename = "UNKNOWN")]
    Unknown,
    #[serde(rename = "CAUGHT")]
    Caught,
    #[serde(rename = "ESCAPED")]
    Escaped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "HOLDS",
            Self::Loss => "HOLDS WITH PUBLISHED LOSS",
            Self::Violated => "VIOLATED",
            Self::NotExercised => "NOT EXERCISED",
            Self::Unknown => "UNKNOWN",
            Self::Caught => "CAUGHT",
            Self::Escaped => "ESCAPED",
        })
    }
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) all: u64,
    pub(crate) ok: u64,
    pub(crate) fail: u64,
    pub(crate) unknown: u64,
    /// In a second, before the first fault.
    pub(crate) per_second_before: u64,
    /// Under way while a fault was.
    pub(crate) in_flight: u64,
}

/// Events that are no calls to Redis.
const NOTES: [&str; 6] = ["fault", "effect", "take", "read", "left", "final"];

impl Calls {
    pub(crate) fn of(ops: &[Operation], begun_ns: u64) -> Self {
        let faults: Vec<(u64, u64)> =
            ops.iter().filter(|op| op.op == "fault").map(|op| (op.invoked_ns, op.returned_ns)).collect();
        let first = faults.iter().map(|fault| fault.0).min().unwrap_or(u64::MAX);
        let mut calls = Self::default();
        let (mut before, mut last) = (0, begun_ns);
        for op in ops.iter().filter(|op| !NOTES.contains(&op.op.as_str())) {
            calls.all += 1;
            match op.outcome {
                Kind::Ok => calls.ok += 1,
                Kind::Fail => calls.fail += 1,
                _ => calls.unknown += 1,
            }
            if op.returned_ns < first {
                before += 1;
                last = last.max(op.returned_ns);
            }
            // The first fault that ended after the call was sent is the one that it may have met.
            let next = faults.partition_point(|fault| fault.1 < op.invoked_ns);
            calls.in_flight += u64::from(faults.get(next).is_some_and(|fault| fault.0 <= op.returned_ns));
        }
        let span_ms = (last - begun_ns) / 1_000_000;
        calls.per_second_before = before * 1_000 / span_ms.max(1);
        calls
    }
}

/// The report of one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) pattern: String,
    pub(crate) fault: String,
    pub(crate) topology: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) control: Option<u8>,
    pub(crate) seed: u64,
    pub(crate) server: String,
    pub(crate) verdict: Verdict,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    pub(crate) calls: Calls,
    pub(crate) strikes: u64,
    pub(crate) evidence: u64,
    pub(crate) away_ms: u64,
    /// How often each rule was broken.
    pub(crate) rules: BTreeMap<String, u64>,
    pub(crate) facts: BTreeMap<String, u64>,
    pub(crate) seconds: f64,
}

impl Report {
    /// A cell that could not be run to its end.
    pub(crate) fn failed(cell: &Cell, seed: u64, why: String, seconds: f64) -> Self {
        Self {
            pattern: cell.pattern.to_string(),
            fault: cell.fault.to_string(),
            topology: cell.topology.to_string(),
            control: cell.control.map(|control| control.number),
            seed,
            server: String::new(),
            verdict: Verdict::Unknown,
            why,
            calls: Calls::default(),
            strikes: 0,
            evidence: 0,
            away_ms: 0,
            rules: BTreeMap::new(),
            facts: BTreeMap::new(),
            seconds,
        }
    }

    /// Judges what was found, by what the fault may cost and by whether it was there at all.
    pub(crate) fn judged(
        self,
        cell: &Cell,
        ring: Ring,
        done: Done,
        calls: Calls,
        findings: &Findings,
    ) -> Self {
        let text = |name: &&'static str| (*name).to_owned();
        let mut report = Self {
            calls,
            strikes: done.strikes,
            evidence: done.evidence,
            away_ms: done.away_ms,
            rules: findings.rules.iter().map(|(rule, broken)| (text(rule), broken.count)).collect(),
            facts: findings.facts.iter().map(|(name, count)| (text(name), *count)).collect(),
            ..self
        };
        (report.verdict, report.why) = match cell.control {
            Some(control) => control_verdict(control.breaks, findings),
            None => verdict(cell, ring, done, &calls, findings),
        };
        report
    }

    /// The bound on the true rate that so many faults, or calls, without a case leave open.
    fn bound(&self) -> String {
        let (n, unit) = match self.fault.as_str() {
            "F0" | "F5" | "F18" => (self.calls.all, "call"),
            _ => (self.strikes, "fault"),
        };
        if n == 0 {
            String::new()
        } else {
            format!("zero = at most {:.2e} per {unit} (3/{n})", 3.0 / n as f64)
        }
    }

    pub(crate) fn line(&self, cell: &Cell) -> String {
        let Calls { all, ok, fail, unknown, per_second_before, in_flight } = self.calls;
        let counts = |map: &BTreeMap<String, u64>| {
            map.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        let away =
            if self.away_ms > 0 { format!(", away at most {} ms", self.away_ms) } else { String::new() };
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        format!(
            "{} seed={} {} | {all} calls (ok {ok} fail {fail} unknown {unknown}), {per_second_before}/s before | \
             faults {} evidence {} in flight {in_flight}{away} | {} | broken: {} | {} | {}{why}",
            cell.name(),
            self.seed,
            self.server,
            self.strikes,
            self.evidence,
            counts(&self.facts),
            counts(&self.rules),
            self.bound(),
            self.verdict,
        )
    }
}

fn control_verdict(breaks: &[&str], findings: &Findings) -> (Verdict, String) {
    let broken: Vec<_> = breaks.iter().filter(|rule| findings.count(rule) > 0).collect();
    match broken.first() {
        Some(rule) => (Verdict::Caught, format!("{rule}: {}", findings.rules[**rule].example)),
        None => (Verdict::Escaped, format!("none of {} is broken", breaks.join(", "))),
    }
}

fn verdict(cell: &Cell, ring: Ring, done: Done, calls: &Calls, findings: &Findings) -> (Verdict, String) {
    let broken: Vec<_> = findings.rules.iter().filter(|(_, broken)| broken.count > 0).collect();
    if let Some((rule, broken)) = broken.iter().find(|(rule, _)| !cell.fault.allows(rule)) {
        return (Verdict::Violated, format!("{rule}: {}", broken.example));
    }
    let least = ring.least_load(cell.pattern);
    if calls.per_second_before < least {
        return (
            Verdict::NotExercised,
            format!("{} calls a second, {least} are the least", calls.per_second_before),
        );
    }
    if done.strikes == 0 || done.evidence == 0 {
        return (Verdict::NotExercised, "nothing shows that the fault happened".into());
    }
    // These are no moments that a call could meet.
    let always = matches!(cell.fault.0, 0 | 5 | 18);
    if !always && calls.in_flight == 0 {
        return (Verdict::NotExercised, "no call met the fault".into());
    }
    match broken.first() {
        Some((rule, broken)) => (Verdict::Loss, format!("{rule}: {}", broken.example)),
        None => (Verdict::Holds, String::new()),
    }
}
