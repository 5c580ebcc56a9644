//! I1: executions are as many as attempts, each after the lease before it. I2: one answer. I3: no
//! answer to another body. I4: no late completion. I5: what was answered stays.

use super::{Findings, Scene, nanos, number, of, word};
use crate::orders::LEASE;
use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::{BTreeMap, BTreeSet};

/// So many requests are asked for again in the end.
const SAMPLE: usize = 400;

#[derive(Default)]
struct Request<'a> {
    /// Attempt and the call that began it.
    started: Vec<(u64, &'a Operation)>,
    effects: Vec<u64>,
    stored: Vec<(u64, &'a Operation)>,
    answers: BTreeSet<&'a str>,
    replays: Vec<&'a Operation>,
    last: Option<&'a Operation>,
}

impl<'a> Request<'a> {
    /// The bodies that began the attempt whose answer this is. Which body comes first is chance: the
    /// other may have been refused, or its key forgotten.
    fn bodies(&self, answer: &str) -> BTreeSet<&'a str> {
        let attempts = self.stored.iter().filter(|(_, op)| word(&op.input, 2) == answer);
        let attempts: Vec<u64> = attempts.map(|(attempt, _)| *attempt).collect();
        let begun = self.started.iter().filter(|(attempt, _)| attempts.contains(attempt));
        begun.map(|(_, op)| word(&op.input, 1)).collect()
    }

    /// A replay to a body that is known not to be the answered one's.
    fn is_anothers(&self, replay: &Operation) -> bool {
        let bodies = self.bodies(word(&replay.output, 1));
        !bodies.is_empty() && !bodies.contains(word(&replay.input, 1))
    }

    /// Whether what was answered is there: its replay, or a refusal of what is not its body.
    fn is_kept(&self, last: &Operation) -> bool {
        let mut answers = self.stored.iter().map(|(_, op)| word(&op.input, 2));
        match word(&last.output, 0) {
            "replay" => true,
            "mismatch" => answers.any(|answer| !self.bodies(answer).contains(word(&last.input, 1))),
            _ => false,
        }
    }
}

pub(super) fn completed(ops: &[Operation]) -> Vec<String> {
    let stored = of(ops, "complete", Kind::Ok).filter(|op| op.output == "stored");
    let keys: BTreeSet<&str> = stored.map(|op| word(&op.input, 0)).collect();
    keys.into_iter().rev().take(SAMPLE).map(str::to_owned).collect()
}

fn requests(ops: &[Operation]) -> BTreeMap<&str, Request<'_>> {
    let mut requests: BTreeMap<&str, Request<'_>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.outcome == Kind::Ok) {
        let request = || word(&op.input, 0);
        match op.op.as_str() {
            "begin" | "final" => {
                let request = requests.entry(request()).or_default();
                note_begin(request, op);
            }
            "effect" => requests.entry(request()).or_default().effects.push(number(&op.input, 1)),
            "complete" if op.output == "stored" => {
                let request = requests.entry(request()).or_default();
                request.stored.push((number(&op.input, 1), op));
                request.answers.insert(word(&op.input, 2));
            }
            _ => {}
        }
    }
    requests
}

fn note_begin<'a>(request: &mut Request<'a>, op: &'a Operation) {
    match word(&op.output, 0) {
        "started" => request.started.push((number(&op.output, 1), op)),
        "replay" => {
            request.answers.insert(word(&op.output, 1));
            request.replays.push(op);
        }
        _ => {}
    }
    if op.op == "final" {
        request.last = Some(op);
    }
}

pub(super) fn check(scene: &Scene<'_>, findings: &mut Findings) {
    let requests = requests(scene.ops);
    for rule in ["I1", "I2", "I3", "I4", "I5"] {
        findings.rule(rule);
    }
    findings.fact("requests", requests.len() as u64);
    for (key, request) in &requests {
        findings.fact("executions", request.effects.len() as u64);
        findings.fact("takeovers", request.started.iter().filter(|(attempt, _)| *attempt > 1).count() as u64);
        executions(key, request, findings);
        let more = (request.answers.len() as u64).saturating_sub(1);
        findings.rule("I2").add(more, || format!("{key}: {:?}", request.answers));
        let wrong: Vec<_> = request.replays.iter().filter(|op| request.is_anothers(op)).collect();
        findings.rule("I3").add(wrong.len() as u64, || format!("{key}: {}", super::shown(wrong[0])));
        late(key, request, findings);
        if let Some(last) = request.last {
            let there = request.is_kept(last);
            findings.fact("asked again", 1);
            findings.rule("I5").add(u64::from(!there && !request.stored.is_empty()), || super::shown(last));
        }
    }
}

fn executions(key: &str, request: &Request<'_>, findings: &mut Findings) {
    let mut attempts = request.effects.clone();
    attempts.sort_unstable();
    let twice = attempts.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
    findings.rule("I1").add(twice, || format!("{key}: an attempt was made twice"));
    for (attempt, op) in &request.started {
        let early = request.started.iter().any(|(before, begun)| {
            *before + 1 == *attempt && op.returned_ns < begun.invoked_ns.saturating_add(nanos(LEASE))
        });
        findings
            .rule("I1")
            .add(u64::from(early), || format!("{key}: attempt {attempt} within the lease before it"));
        let done = request.stored.iter().any(|(_, stored)| stored.returned_ns < op.invoked_ns);
        findings.rule("I1").add(u64::from(done), || format!("{key}: ran again after it was done"));
    }
}

/// Completions that were stored though a later attempt had begun before they were sent.
fn late(key: &str, request: &Request<'_>, findings: &mut Findings) {
    for (attempt, stored) in &request.stored {
        let overtaken =
            request.started.iter().any(|(later, op)| later > attempt && op.returned_ns < stored.invoked_ns);
        findings.rule("I4").add(u64::from(overtaken), || format!("{key}: attempt {attempt} completed late"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{judge, op};
    use super::*;
    use crate::pattern::Pattern;

    const S: u64 = 1_000_000_000;

    fn one_run() -> Vec<Operation> {
        vec![
            op("begin", "k a", "started 1", 0, 1),
            op("effect", "k 1", "", 2, 2),
            op("complete", "k 1 x", "stored", 3, 4),
            op("begin", "k a", "replay x", 5, 6),
            op("begin", "k b", "mismatch", 7, 8),
        ]
    }

    fn with(more: Vec<Operation>) -> Findings {
        judge(Pattern::Idem, &[one_run(), more].concat())
    }

    #[test]
    fn a_run_and_its_replay_break_nothing() {
        assert!(with(vec![]).rules.values().all(|broken| broken.count == 0));
    }

    #[test]
    fn the_other_body_may_come_first() {
        let first = vec![op("begin", "l b", "started 1", 9, 10), op("complete", "l 1 y", "stored", 11, 12)];
        let then = vec![op("begin", "l b", "replay y", 13, 14), op("final", "l a", "mismatch", 15, 16)];
        assert!(with([first, then].concat()).rules.values().all(|broken| broken.count == 0));
    }

    #[test]
    fn each_rule_can_be_broken() {
        assert_eq!(with(vec![op("effect", "k 1", "", 9, 9)]).count("I1"), 1);
        assert_eq!(with(vec![op("begin", "k a", "started 2", 9, 3 * S)]).count("I1"), 1, "after it was done");
        assert_eq!(with(vec![op("begin", "k a", "replay y", 9, 10)]).count("I2"), 1);
        assert_eq!(with(vec![op("begin", "k b", "replay x", 9, 10)]).count("I3"), 1);
        assert_eq!(with(vec![op("final", "k a", "started 1", 9, 10)]).count("I5"), 1);
        let taken = op("begin", "l a", "started 2", 2 * S, 2 * S + 1);
        let late = op("complete", "l 1 x", "stored", 3 * S, 3 * S + 1);
        assert_eq!(with(vec![op("begin", "l a", "started 1", 0, 1), taken, late]).count("I4"), 1);
    }
}
