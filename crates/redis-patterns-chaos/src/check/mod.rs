//! What a history must show, whatever happened meanwhile: pure functions, one file for each pattern.

mod idem;
mod lock;
mod queue;
mod ratelimit;
mod session;

use crate::fault::Fault;
use crate::oracle::Seen;
use crate::orders::Orders;
use crate::pattern::Pattern;
use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the last read is to look for.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) names: Vec<String>,
}

/// Everything that a checker judges by.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) orders: &'a Orders,
    pub(crate) fault: Fault,
    pub(crate) ops: &'a [Operation],
    pub(crate) seen: Seen,
    /// Keys without an expiry that should have one.
    pub(crate) immortal: u64,
    /// Workers that ended though nobody killed them.
    pub(crate) crashed: u64,
    /// Pairs of keys of which a call changed one.
    pub(crate) uneven: u64,
}

/// How often each rule was broken, with the first case.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) rules: BTreeMap<&'static str, Broken>,
    pub(crate) facts: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Broken {
    pub(crate) count: u64,
    pub(crate) example: String,
}

impl Findings {
    /// Sets a rule that was looked at; it stands in the report also with zero.
    pub(crate) fn rule(&mut self, id: &'static str) -> &mut Broken {
        self.rules.entry(id).or_default()
    }

    pub(crate) fn fact(&mut self, name: &'static str, count: u64) {
        *self.facts.entry(name).or_default() += count;
    }

    pub(crate) fn count(&self, id: &str) -> u64 {
        self.rules.get(id).map_or(0, |broken| broken.count)
    }
}

impl Broken {
    pub(crate) fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        if self.count == 0 && count > 0 {
            self.example = example();
        }
        self.count += count;
    }
}

/// Judges a history by the rules of its pattern and by those of all.
pub(crate) fn check(scene: &Scene<'_>) -> Findings {
    let mut findings = Findings::default();
    common(scene, &mut findings);
    match scene.orders.pattern {
        Pattern::Ratelimit => ratelimit::check(scene, &mut findings),
        Pattern::Lock => lock::check(scene, &mut findings),
        Pattern::Idem => idem::check(scene, &mut findings),
        Pattern::Session => session::check(scene, &mut findings),
        Pattern::Queue => queue::check(scene, &mut findings),
    }
    findings
}

/// What the last read is to look for, by what is known before it.
pub(crate) fn left(pattern: Pattern, ops: &[Operation]) -> Left {
    match pattern {
        Pattern::Idem => Left { names: idem::completed(ops) },
        _ => Left::default(),
    }
}

/// Operations that give something back, which a full server must still take.
const GIVE_BACK: [&str; 4] = ["release", "ack", "revoke", "revoke_all"];

fn common(scene: &Scene<'_>, findings: &mut Findings) {
    findings.rule("K1").add(scene.immortal, || "a key without an expiry".into());
    findings.rule("X1").add(scene.crashed, || "a worker ended by itself".into());
    let failed =
        |op: &&Operation| op.outcome != Kind::Ok && op.output != "dropped" && op.returned_ns != u64::MAX;
    if scene.fault.is_unnoticed() {
        let broken = findings.rule("E1");
        scene.ops.iter().filter(failed).for_each(|op| broken.add(1, || shown(op)));
    }
    if scene.fault.0 == 14 {
        let broken = findings.rule("O1");
        let refused = |op: &&Operation| GIVE_BACK.contains(&op.op.as_str()) && op.output.contains("OOM");
        scene.ops.iter().filter(failed).filter(refused).for_each(|op| broken.add(1, || shown(op)));
    }
    if scene.fault.0 == 19 {
        late(scene, findings);
    }
    if scene.orders.control == Some(13) {
        findings.rule("A1").add(scene.uneven, || "a call changed one key of two".into());
    }
}

/// Calls that took longer than three sends, the wait for a lock and a second of a busy machine.
fn late(scene: &Scene<'_>, findings: &mut Findings) {
    let bound = 3 * scene.orders.deadline() + Duration::from_millis(1_500);
    let took = |op: &Operation| Duration::from_nanos(op.returned_ns.saturating_sub(op.invoked_ns));
    // An acknowledgement is asked until it is answered; that is its promise.
    let calls = scene
        .ops
        .iter()
        .filter(|op| !["ack", "fault"].contains(&op.op.as_str()) && op.returned_ns != u64::MAX);
    let mut longest = Duration::ZERO;
    let broken = findings.rule("D1");
    for op in calls {
        longest = longest.max(took(op));
        broken.add(u64::from(took(op) > bound), || format!("{:?} {}", took(op), shown(op)));
    }
    findings.fact("longest call ms", u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
}

pub(crate) fn shown(op: &Operation) -> String {
    format!("{} {} -> {:?} {} by {}", op.op, op.input, op.outcome, op.output, op.process)
}

/// Operations of one kind, by their outcome.
fn of<'a>(ops: &'a [Operation], op: &'a str, outcome: Kind) -> impl Iterator<Item = &'a Operation> {
    ops.iter().filter(move |o| o.op == op && o.outcome == outcome)
}

fn word(text: &str, at: usize) -> &str {
    text.split(' ').nth(at).unwrap_or_default()
}

fn number(text: &str, at: usize) -> u64 {
    word(text, at).parse().unwrap_or_default()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod made {
    //! Histories made by hand.

    use super::*;
    use std::path::PathBuf;

    pub(crate) fn op(op: &str, input: &str, output: &str, from: u64, to: u64) -> Operation {
        let (op, input, output) = (op.to_owned(), input.to_owned(), output.to_owned());
        Operation { process: 64, op, input, outcome: Kind::Ok, output, invoked_ns: from, returned_ns: to }
    }

    pub(crate) fn by(process: u64, operation: Operation) -> Operation {
        Operation { process, ..operation }
    }

    pub(crate) fn judge(pattern: Pattern, ops: &[Operation]) -> Findings {
        let orders = Orders {
            pattern,
            control: None,
            url: String::new(),
            namespace: String::new(),
            history: PathBuf::new(),
            oracle: String::new(),
            seed: 1,
            number: 1,
            deadline_ms: 1_000,
            hostile: false,
            dropping: false,
            replicas: false,
        };
        let (fault, seen) = (Fault(0), Seen::default());
        check(&Scene { orders: &orders, fault, ops, seen, immortal: 0, crashed: 0, uneven: 0 })
    }
}
