//! S1: a revoked session never loads. S2: no acknowledged change of a counter is lost. S3: a rotated
//! id never loads. S4: nor what `revoke_all` covered. S5: nor what is past its deadline. S6: nothing
//! is saved, or lost, of a session that is gone, or there.

use super::{Findings, Scene, nanos, number, of, word};
use crate::work::SHORT_SESSION;
use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
struct Life<'a> {
    kind: &'a str,
    user: &'a str,
    created: u64,
    /// Since when it is known to be gone, by each way.
    revoked: Option<u64>,
    rotated: Option<u64>,
    all_revoked: Option<u64>,
    /// Whether anybody tried to end it, whatever came of it.
    touched: bool,
    loads: Vec<&'a Operation>,
    saves: Vec<&'a Operation>,
    added: u64,
    maybe_added: u64,
}

fn earlier(known: &mut Option<u64>, at: u64) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}

fn lives(ops: &[Operation]) -> BTreeMap<&str, Life<'_>> {
    let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
    for op in of(ops, "create", Kind::Ok) {
        let (kind, user) = (word(&op.input, 0), word(&op.input, 1));
        lives.insert(&op.output, Life { kind, user, created: op.returned_ns, ..Life::default() });
    }
    // Rotations in the order of their time: each gives a life to the next.
    for op in of(ops, "rotate", Kind::Ok).filter(|op| op.output != "gone") {
        let (kind, user) = lives.get(op.input.as_str()).map_or(("", ""), |life| (life.kind, life.user));
        lives.insert(&op.output, Life { kind, user, created: op.returned_ns, ..Life::default() });
    }
    for op in ops {
        if let Some(life) = lives.get_mut(op.input.as_str()) {
            note(life, op);
        }
    }
    for all in ops.iter().filter(|op| op.op == "revoke_all") {
        for life in lives.values_mut().filter(|life| life.user == all.input) {
            life.touched = true;
            if all.outcome == Kind::Ok && life.created < all.invoked_ns {
                earlier(&mut life.all_revoked, all.returned_ns);
            }
        }
    }
    lives
}

fn note<'a>(life: &mut Life<'a>, op: &'a Operation) {
    let ok = op.outcome == Kind::Ok;
    match op.op.as_str() {
        "load" | "final" if ok => life.loads.push(op),
        "revoke" | "rotate" => {
            life.touched = true;
            let ended = if op.op == "revoke" { &mut life.revoked } else { &mut life.rotated };
            if ok && op.output != "gone" {
                earlier(ended, op.returned_ns);
            }
        }
        "modify" if ok => {
            life.added += u64::from(op.output == "done");
            life.saves.push(op);
        }
        "modify" => life.maybe_added += u64::from(op.outcome == Kind::Info),
        "update" | "extend" if ok => life.saves.push(op),
        _ => {}
    }
}

pub(super) fn check(scene: &Scene<'_>, findings: &mut Findings) {
    for rule in ["S1", "S2", "S3", "S4", "S5", "S6"] {
        findings.rule(rule);
    }
    let lives = lives(scene.ops);
    findings.fact("sessions", lives.len() as u64);
    for (sid, life) in &lives {
        findings.fact("revoked", u64::from(life.revoked.or(life.all_revoked).is_some()));
        for (rule, gone) in [("S1", life.revoked), ("S3", life.rotated), ("S4", life.all_revoked)] {
            let Some(gone) = gone else { continue };
            back(rule, sid, life, gone, findings);
        }
        if life.kind == "short" {
            let deadline = life.created + nanos(SHORT_SESSION) + nanos(Duration::from_millis(20));
            back("S5", sid, life, deadline, findings);
        }
        if life.kind == "counter" && !life.touched {
            counted(sid, life, findings);
        }
    }
}

/// Loads that found it, and saves that were acknowledged, after it was gone.
fn back(rule: &'static str, sid: &str, life: &Life<'_>, gone: u64, findings: &mut Findings) {
    let found = life.loads.iter().filter(|op| op.invoked_ns > gone && op.output != "none").count() as u64;
    findings.rule(rule).add(found, || format!("{sid} was loaded after it was gone"));
    let saved = life.saves.iter().filter(|op| op.invoked_ns > gone && op.output == "done").count() as u64;
    findings.rule("S6").add(saved, || format!("{sid} was saved after it was gone"));
}

fn counted(sid: &str, life: &Life<'_>, findings: &mut Findings) {
    for last in life.loads.iter().filter(|op| op.op == "final") {
        if last.output == "none" {
            findings.rule("S6").add(1, || format!("{sid} is gone, and nobody ended it"));
            continue;
        }
        let value = number(&last.output, 1);
        findings.fact("counted", value);
        let lost = life.added.saturating_sub(value);
        let more = value.saturating_sub(life.added + life.maybe_added);
        findings.rule("S2").add(lost + more, || format!("{sid} holds {value}, {} were added", life.added));
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{judge, op};
    use super::*;
    use crate::pattern::Pattern;

    fn with(more: &[Operation]) -> Findings {
        let ops = [
            op("create", "plain u", "a", 0, 1),
            op("create", "counter u", "c", 0, 1),
            op("modify", "c", "done", 2, 3),
            op("final", "c", "found 1", 90, 91),
        ];
        judge(Pattern::Session, &[&ops, more].concat())
    }

    #[test]
    fn a_life_without_end_breaks_nothing() {
        assert!(with(&[op("load", "a", "found 0", 4, 5)]).rules.values().all(|broken| broken.count == 0));
    }

    #[test]
    fn each_rule_can_be_broken() {
        let revoked = op("revoke", "a", "", 4, 5);
        let back = op("load", "a", "found 0", 6, 7);
        assert_eq!(with(&[revoked.clone(), back.clone()]).count("S1"), 1);
        assert_eq!(
            with(&[revoked.clone(), op("load", "a", "found 0", 4, 7)]).count("S1"),
            0,
            "at the same time"
        );
        assert_eq!(with(&[revoked, op("update", "a", "done", 6, 7)]).count("S6"), 1);
        assert_eq!(with(&[op("modify", "c", "done", 4, 5)]).count("S2"), 1);
        assert_eq!(with(&[op("rotate", "a", "b", 4, 5), back.clone()]).count("S3"), 1);
        assert_eq!(with(&[op("revoke_all", "u", "1", 4, 5), back]).count("S4"), 2, "both are that user's");
        let late = op("load", "s", "found 0", 9_000_000_000, 9_000_000_001);
        assert_eq!(with(&[op("create", "short u", "s", 0, 1), late]).count("S5"), 1);
    }
}
