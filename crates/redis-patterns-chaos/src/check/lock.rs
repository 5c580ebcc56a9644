//! L1: nothing is lost at the resource. L2: fences go up. L3: confirmed holds do not overlap.
//! L5: every lock is had again. L6: no lock is busy with nobody.

use super::{Findings, Scene, nanos, number};
use crate::orders::LEASE;
use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::BTreeMap;

struct Grant<'a> {
    op: &'a Operation,
    fence: u64,
    /// The end of what its holder counts on.
    until: u64,
    /// The latest moment at which it can explain that the lock is busy.
    over: u64,
}

pub(super) fn check(scene: &Scene<'_>, findings: &mut Findings) {
    let seen = scene.seen;
    findings.rule("L1").add(seen.inversions + seen.lost_updates, || {
        format!("{} inversions, {} updates lost at the resource", seen.inversions, seen.lost_updates)
    });
    findings.fact("writes", seen.accepted);
    findings.fact("stale writes refused", seen.refused);
    let ends = releases(scene.ops);
    let mut names: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for op in scene.ops.iter().filter(|op| op.op == "acquire") {
        names.entry(&op.input).or_default().push(op);
    }
    for rule in ["L2", "L3", "L6"] {
        findings.rule(rule);
    }
    for (name, calls) in &names {
        let held = |op: &&&Operation| op.outcome == Kind::Ok && op.output != "busy";
        let grants: Vec<Grant<'_>> = calls.iter().filter(held).map(|op| grant(op, &ends)).collect();
        findings.fact("grants", grants.len() as u64);
        fences(name, &grants, findings);
        overlaps(name, &grants, findings);
        orphans(scene, name, calls, &grants, findings);
    }
    let stuck = scene.ops.iter().filter(|op| op.op == "final" && op.output != "had");
    let broken = findings.rule("L5");
    stuck.for_each(|op| broken.add(1, || super::shown(op)));
}

/// When the release of each name and fence began and ended.
fn releases(ops: &[Operation]) -> BTreeMap<&str, (u64, u64)> {
    let releases = ops.iter().filter(|op| op.op == "release");
    let ended = |op: &Operation| if op.outcome == Kind::Ok { op.returned_ns } else { u64::MAX };
    releases.map(|op| (op.input.as_str(), (op.invoked_ns, ended(op)))).collect()
}

fn grant<'a>(op: &'a Operation, releases: &BTreeMap<&str, (u64, u64)>) -> Grant<'a> {
    let (fence, until) = (number(&op.output, 0), number(&op.output, 1));
    let (begun, ended) =
        releases.get(format!("{} {fence}", op.input).as_str()).copied().unwrap_or((u64::MAX, u64::MAX));
    // The server's lease may begin when the reply is on its way; a freed lock takes a moment.
    let lease = op.returned_ns.saturating_add(2 * nanos(LEASE));
    Grant { op, fence, until: until.min(begun), over: ended.min(lease) }
}

fn fences(name: &str, grants: &[Grant<'_>], findings: &mut Findings) {
    let mut by_return: Vec<&Grant<'_>> = grants.iter().collect();
    by_return.sort_by_key(|grant| grant.op.returned_ns);
    let mut by_invoke: Vec<&Grant<'_>> = grants.iter().collect();
    by_invoke.sort_by_key(|grant| grant.op.invoked_ns);
    let (mut highest, mut next) = (0, 0);
    for late in by_invoke {
        while next < by_return.len() && by_return[next].op.returned_ns < late.op.invoked_ns {
            highest = highest.max(by_return[next].fence);
            next += 1;
        }
        let regressed = late.fence <= highest;
        findings.rule("L2").add(u64::from(regressed), || format!("{name}: {} after {highest}", late.fence));
    }
    let mut numbers: Vec<u64> = grants.iter().map(|grant| grant.fence).collect();
    numbers.sort_unstable();
    let twice = numbers.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
    findings.rule("L2").add(twice, || format!("{name}: a fence was given twice"));
}

fn overlaps(name: &str, grants: &[Grant<'_>], findings: &mut Findings) {
    let mut by_return: Vec<&Grant<'_>> = grants.iter().collect();
    by_return.sort_by_key(|grant| grant.op.returned_ns);
    let mut held_until = 0;
    for grant in by_return {
        let both = grant.op.returned_ns < held_until && grant.op.returned_ns < grant.until;
        findings.rule("L3").add(u64::from(both), || format!("{name}: two holders at fence {}", grant.fence));
        held_until = held_until.max(grant.until);
    }
}

/// Answers of "busy" at a time when nobody can have held the lock.
fn orphans(
    scene: &Scene<'_>,
    name: &str,
    calls: &[&Operation],
    grants: &[Grant<'_>],
    findings: &mut Findings,
) {
    // A call of unknown outcome may have got the lock, and its clean-up may come late.
    let slack = 2 * nanos(LEASE) + 3 * nanos(scene.orders.deadline());
    let unknown = calls.iter().filter(|op| op.outcome == Kind::Info);
    let unknown = unknown.map(|op| (op.invoked_ns, op.invoked_ns.saturating_add(slack)));
    let known = grants.iter().map(|grant| (grant.op.invoked_ns, grant.over));
    let mut spans: Vec<(u64, u64)> = known.chain(unknown).collect();
    spans.sort_unstable();
    let mut latest = Vec::with_capacity(spans.len());
    let mut end = 0;
    for span in &spans {
        end = end.max(span.1);
        latest.push(end);
    }
    for busy in calls.iter().filter(|op| op.outcome == Kind::Ok && op.output == "busy") {
        let began = spans.partition_point(|span| span.0 <= busy.returned_ns);
        let explained = began > 0 && latest[began - 1] >= busy.invoked_ns;
        findings.rule("L6").add(u64::from(!explained), || format!("{name}: busy with nobody"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{by, judge, op};
    use crate::pattern::Pattern;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_fence_that_goes_back_or_comes_twice_is_seen() {
        let ops = [op("acquire", "n", &format!("7 {S}"), 0, 1), op("release", "n 7", "InTime", 2, 3)];
        let lower = by(128, op("acquire", "n", &format!("6 {}", 3 * S), 4, 5));
        let same = by(128, op("acquire", "n", &format!("7 {}", 3 * S), 0, 5));
        assert_eq!(judge(Pattern::Lock, &[&ops[..], &[lower]].concat()).count("L2"), 1);
        assert_eq!(judge(Pattern::Lock, &[&ops[..], &[same]].concat()).count("L2"), 1);
    }

    #[test]
    fn two_holders_at_once_are_seen() {
        let first = op("acquire", "n", &format!("1 {S}"), 0, 1);
        let second = by(128, op("acquire", "n", &format!("2 {}", 2 * S), S / 2, S / 2 + 1));
        assert_eq!(judge(Pattern::Lock, &[first.clone(), second.clone()]).count("L3"), 1);
        let released = op("release", "n 1", "InTime", 2, 3);
        assert_eq!(judge(Pattern::Lock, &[first, released, second]).count("L3"), 0);
    }

    #[test]
    fn busy_with_nobody_is_seen() {
        let busy = |at: u64| by(128, op("acquire", "n", "busy", at, at + 1));
        let held = op("acquire", "n", &format!("1 {S}"), 0, 1);
        let freed = op("release", "n 1", "InTime", 10, 20);
        assert_eq!(judge(Pattern::Lock, &[held.clone(), freed.clone(), busy(15)]).count("L6"), 0);
        assert_eq!(judge(Pattern::Lock, &[held, freed, busy(30)]).count("L6"), 1);
    }
}
