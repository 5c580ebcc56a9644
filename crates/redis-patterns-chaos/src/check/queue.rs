//! Q1: nothing acknowledged is lost. Q2: nothing unexpected comes. Q3: what runs again has a reason.
//! Q4: one acknowledgement for each job. Q5: nothing before it is due. Q6: nothing is left.

use super::{Findings, Scene, nanos, number, of, word};
use crate::orders::LEASE;
use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::BTreeMap;

#[derive(Default)]
struct Job<'a> {
    push: Option<&'a Operation>,
    takes: Vec<&'a Operation>,
    acks: Vec<&'a Operation>,
}

pub(super) fn check(scene: &Scene<'_>, findings: &mut Findings) {
    let mut jobs: BTreeMap<&str, Job<'_>> = BTreeMap::new();
    for op in scene.ops {
        let job = match op.op.as_str() {
            "push" | "take" | "ack" => jobs.entry(word(&op.input, 0)).or_default(),
            _ => continue,
        };
        match op.op.as_str() {
            "push" => job.push = Some(op),
            "take" => job.takes.push(op),
            _ => job.acks.push(op),
        }
    }
    for rule in ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6"] {
        findings.rule(rule);
    }
    let kills = kills(scene.ops);
    for (name, job) in &jobs {
        judge(name, job, &kills, findings);
    }
    let torn = of(scene.ops, "torn", Kind::Ok).count() as u64;
    findings.rule("Q2").add(torn, || "a payload came back changed".into());
    let left = of(scene.ops, "left", Kind::Ok).count() == 0;
    findings.rule("Q6").add(u64::from(left), || "the queue did not become empty".into());
}

/// Faults that touched a worker process: its number, and until when.
fn kills(ops: &[Operation]) -> Vec<(u64, u64, u64)> {
    let faults = ops.iter().filter(|op| op.op == "fault" && word(&op.input, 1) == "worker");
    faults.map(|op| (number(&op.input, 2), op.invoked_ns, op.returned_ns)).collect()
}

fn judge(name: &str, job: &Job<'_>, kills: &[(u64, u64, u64)], findings: &mut Findings) {
    let Some(push) = job.push else {
        findings.rule("Q2").add(1, || format!("{name} was never pushed"));
        return;
    };
    let acknowledged = push.outcome == Kind::Ok && push.output == "pushed";
    findings.fact("acknowledged", u64::from(acknowledged));
    findings.fact("delivered", job.takes.len() as u64);
    findings.fact("recovered", u64::from(push.outcome == Kind::Info && !job.takes.is_empty()));
    findings.rule("Q1").add(u64::from(acknowledged && job.takes.is_empty()), || format!("{name} never came"));
    let refused = push.outcome == Kind::Ok && push.output == "full";
    findings
        .rule("Q2")
        .add(u64::from(refused && !job.takes.is_empty()), || format!("{name} was refused, and came"));
    let due = push.invoked_ns + number(&push.input, 1) * 1_000_000;
    // A millisecond is what the server counts in.
    let early = job.takes.iter().filter(|take| take.returned_ns + 1_000_000 < due).count() as u64;
    findings.rule("Q5").add(early, || format!("{name} came before it was due"));
    let done = job.acks.iter().filter(|ack| ack.outcome == Kind::Ok && ack.output == "done").count() as u64;
    findings.rule("Q4").add(done.saturating_sub(1), || format!("{name} was acknowledged {done} times"));
    again(name, job, kills, findings);
}

/// Deliveries after the first, each with the reason that it must have.
fn again(name: &str, job: &Job<'_>, kills: &[(u64, u64, u64)], findings: &mut Findings) {
    for pair in job.takes.windows(2) {
        let (before, next) = (pair[0], pair[1]);
        findings.fact("duplicates", 1);
        let ack =
            job.acks.iter().find(|ack| ack.process == before.process && ack.invoked_ns >= before.invoked_ns);
        let acked = ack.is_some_and(|ack| {
            ack.outcome == Kind::Ok && ack.output == "done" && ack.returned_ns < next.invoked_ns
        });
        let worker = before.process / 64;
        let hit = kills.iter().any(|(number, from, _)| *number == worker && *from <= next.invoked_ns);
        let silent = next.invoked_ns >= before.invoked_ns.saturating_add(nanos(LEASE));
        let unknown = ack.is_some_and(|ack| ack.outcome != Kind::Ok || ack.output != "done");
        let explained = !acked && (hit || silent || unknown);
        findings.fact("explained", u64::from(explained));
        findings.rule("Q3").add(u64::from(!explained), || format!("{name} came again for no reason"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{by, judge, op};
    use super::*;
    use crate::pattern::Pattern;

    fn with(more: &[Operation]) -> Findings {
        let ops = [
            op("push", "j 0", "pushed", 0, 1),
            op("take", "j 1", "", 2, 2),
            op("ack", "j 1", "done", 3, 4),
            op("left", "0", "", 90, 90),
        ];
        judge(Pattern::Queue, &[&ops, more].concat())
    }

    #[test]
    fn a_job_that_runs_once_breaks_nothing() {
        assert!(with(&[]).rules.values().all(|broken| broken.count == 0));
    }

    #[test]
    fn each_rule_can_be_broken() {
        assert_eq!(with(&[op("push", "k 0", "pushed", 5, 6)]).count("Q1"), 1);
        assert_eq!(with(&[op("take", "k 1", "", 5, 5)]).count("Q2"), 1);
        let again = by(128, op("take", "j 2", "", 5, 5));
        assert_eq!(with(std::slice::from_ref(&again)).count("Q3"), 1);
        assert_eq!(with(&[again, by(128, op("ack", "j 2", "done", 6, 7))]).count("Q4"), 1);
        let soon = op("take", "l 1", "", 5, 5);
        assert_eq!(with(&[op("push", "l 100", "pushed", 0, 1), soon]).count("Q5"), 1);
        assert_eq!(judge(Pattern::Queue, &[]).count("Q6"), 1);
    }

    #[test]
    fn the_jobs_of_a_killed_worker_come_again() {
        let ops = [
            op("push", "j 0", "pushed", 0, 1),
            op("take", "j 1", "", 2, 2),
            op("fault", "F1 worker 1", "", 3, 4),
            by(128, op("take", "j 2", "", 5, 5)),
        ];
        assert_eq!(judge(Pattern::Queue, &ops).count("Q3"), 0);
    }
}
