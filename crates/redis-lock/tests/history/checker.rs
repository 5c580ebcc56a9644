//! What a history of locks must show, whatever happened meanwhile.
//!
//! Operations, with what they carry:
//! - `acquire` `kind id`, ok `fence until_ns`: until when the guard counts itself as held
//! - `seal` `id fence`, `write` `id fence item status at_ns`: ok if the store admitted it; what the
//!   guard said of itself, asked after `at_ns`
//! - `release` `id`
//! - `failover`: while it lasts, and for leases that it touches, Redis may forget

use redis_patterns_testkit::faults::history::{Kind, Operation};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The permits of the semaphore that workers share.
pub(crate) const PERMITS: usize = 2;
/// Far above the patience of a worker and the deadline of its commands.
const BOUND_NS: u64 = 60_000_000_000;

/// How often each rule was broken, and what was looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) grants: usize,
    pub(crate) busy: usize,
    pub(crate) unknown: usize,
    pub(crate) writes: usize,
    pub(crate) refused: usize,
    /// Two confirmed holds at a time that no failover explains.
    pub(crate) i1_overlaps: usize,
    /// A fence that is not above that of every grant that was over before it was asked for.
    pub(crate) i2_fences: usize,
    /// An admitted write under a lower fence than one admitted before.
    pub(crate) i3_stale_writes: usize,
    /// An admitted write under a lower fence than one sealed before.
    pub(crate) i4_after_seal: usize,
    /// A guard that called itself held after another grant was returned.
    pub(crate) i5_late_signals: usize,
    /// Keys of locks left when every client had closed.
    pub(crate) i6_left: usize,
    /// Calls that took longer than their bound, of workers that ran.
    pub(crate) i7_stuck: usize,
    /// A writer beside somebody, or more permits than there are.
    pub(crate) i8_exclusion: usize,
    /// Acknowledged writes that are not there in the end.
    pub(crate) i9_lost: usize,
}

impl Verdict {
    pub(crate) fn broken(&self) -> usize {
        let Self { i1_overlaps, i2_fences, i3_stale_writes, i4_after_seal, i5_late_signals, .. } = self;
        let Self { i6_left, i7_stuck, i8_exclusion, i9_lost, .. } = self;
        let fences = i2_fences + i3_stale_writes + i4_after_seal;
        fences + i1_overlaps + i5_late_signals + i6_left + i7_stuck + i8_exclusion + i9_lost
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grants, busy, unknown, writes, refused, .. } = self;
        write!(
            f,
            "{grants} grants, {busy} busy, {unknown} unknown, {writes} writes, {refused} refused; broken: "
        )?;
        let Self { i1_overlaps, i2_fences, i3_stale_writes, i4_after_seal, i5_late_signals, .. } = self;
        write!(f, "I1 {i1_overlaps}, I2 {i2_fences}, I3 {i3_stale_writes}, I4 {i4_after_seal}, ")?;
        let Self { i6_left, i7_stuck, i8_exclusion, i9_lost, .. } = self;
        write!(f, "I5 {i5_late_signals}, I6 {i6_left}, I7 {i7_stuck}, I8 {i8_exclusion}, I9 {i9_lost}")
    }
}

#[derive(Debug)]
struct Grant {
    kind: String,
    process: u64,
    fence: u64,
    invoked: u64,
    returned: u64,
    /// The end of what its holder counts on: its deadline, or the begin of its release.
    until: u64,
}

impl Grant {
    fn overlaps(&self, later: &Self) -> bool {
        self.returned <= later.returned && later.returned < self.until
    }
}

struct Look<'a> {
    operations: &'a [Operation],
    grants: BTreeMap<String, Grant>,
    failovers: Vec<(u64, u64)>,
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number in the history")
}

impl<'a> Look<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let mut grants = BTreeMap::new();
        for acquire in operations.iter().filter(|o| o.op == "acquire" && o.outcome == Kind::Ok) {
            let ([kind, id], [fence, until]) = (&words(&acquire.input)[..], &words(&acquire.output)[..])
            else {
                panic!("no acquire: {acquire:?}");
            };
            let (kind, fence, until) = ((*kind).to_owned(), number(fence), number(until));
            let (process, invoked, returned) = (acquire.process, acquire.invoked_ns, acquire.returned_ns);
            grants.insert((*id).to_owned(), Grant { kind, process, fence, invoked, returned, until });
        }
        for release in operations.iter().filter(|o| o.op == "release") {
            if let Some(grant) = grants.get_mut(&release.input) {
                grant.until = grant.until.min(release.invoked_ns);
            }
        }
        let failovers = operations.iter().filter(|o| o.op == "failover");
        Self { operations, grants, failovers: failovers.map(|o| (o.invoked_ns, o.returned_ns)).collect() }
    }

    fn of(&self, op: &'a str, outcome: Kind) -> impl Iterator<Item = &'a Operation> {
        self.operations.iter().filter(move |o| o.op == op && o.outcome == outcome)
    }

    /// Whether Redis may have forgotten something between these moments.
    fn may_forget(&self, from: u64, to: u64) -> bool {
        self.failovers.iter().any(|(begin, end)| *begin <= to && from <= *end)
    }

    fn of_kind(&self, kinds: &'a [&str]) -> Vec<&Grant> {
        self.grants.values().filter(|grant| kinds.contains(&grant.kind.as_str())).collect()
    }

    fn overlaps(&self) -> usize {
        let grants = self.of_kind(&["mutex"]);
        let pairs = grants.iter().flat_map(|a| grants.iter().map(move |b| (a, b)));
        let apart = pairs.filter(|(a, b)| !std::ptr::eq(**a, **b) && a.overlaps(b));
        apart.filter(|(a, b)| !self.may_forget(a.invoked, b.returned)).count()
    }

    fn fences(&self) -> usize {
        let in_order = |kinds: &'a [&str]| {
            let grants = self.of_kind(kinds);
            let over = |late: &Grant| {
                grants.iter().any(|early| early.returned < late.invoked && early.fence >= late.fence)
            };
            grants.iter().filter(|late| over(late)).count()
        };
        // Readers share a writer's fence.
        in_order(&["mutex"]) + in_order(&["permit"]) + in_order(&["writer"])
    }

    /// Admitted writes that came after an admitted `op` under a higher fence.
    fn stale_after(&self, op: &'a str) -> usize {
        let fence = |o: &Operation| number(words(&o.input)[1]);
        let stale = |write: &Operation| {
            self.of(op, Kind::Ok).any(|o| o.returned_ns < write.invoked_ns && fence(o) > fence(write))
        };
        self.of("write", Kind::Ok).filter(|write| stale(write)).count()
    }

    fn late_signals(&self) -> usize {
        let mutexes = self.of_kind(&["mutex"]);
        let late = |write: &&Operation| {
            let [id, _, _, status, at] = words(&write.input)[..] else { panic!("no write: {write:?}") };
            let (grant, at) = (&self.grants[id], number(at));
            let other = |next: &&&Grant| {
                next.process != grant.process && next.invoked > grant.returned && next.returned < at
            };
            status == "held"
                && mutexes.iter().filter(other).any(|next| !self.may_forget(grant.invoked, next.returned))
        };
        self.operations.iter().filter(|o| o.op == "write").filter(late).count()
    }

    fn stuck(&self) -> usize {
        let stopped: BTreeSet<_> = self.of("stop", Kind::Ok).map(|o| number(&o.input)).collect();
        let calls = self.operations.iter().filter(|o| o.op == "acquire" && o.returned_ns != u64::MAX);
        let ran = calls.filter(|o| !stopped.contains(&o.process));
        ran.filter(|o| o.returned_ns - o.invoked_ns > BOUND_NS).count()
    }

    fn exclusion(&self) -> usize {
        let crowded = |kinds: &'a [&str], most: usize, alone: bool| {
            let grants = self.of_kind(kinds);
            let too_many = |now: &&&Grant| {
                let beside: Vec<_> = grants.iter().filter(|other| other.overlaps(now)).collect();
                let first = beside.iter().map(|grant| grant.invoked).min().unwrap_or(now.invoked);
                let writer = beside.len() > 1 && beside.iter().any(|grant| grant.kind == "writer");
                (beside.len() > most || (alone && writer)) && !self.may_forget(first, now.returned)
            };
            grants.iter().filter(too_many).count()
        };
        crowded(&["permit"], PERMITS, false) + crowded(&["reader", "writer"], usize::MAX, true)
    }
}

/// Judges a history by what the store holds in the end and how many keys of locks are left.
pub(crate) fn check(operations: &[Operation], stored: &BTreeSet<String>, left: usize) -> Verdict {
    let look = Look::new(operations);
    let count = |op, outcome| look.of(op, outcome).count();
    let item = |write: &Operation| words(&write.input)[2].to_owned();
    Verdict {
        grants: look.grants.len(),
        busy: count("acquire", Kind::Fail),
        unknown: count("acquire", Kind::Info),
        writes: count("write", Kind::Ok),
        refused: count("write", Kind::Fail) + count("seal", Kind::Fail),
        i1_overlaps: look.overlaps(),
        i2_fences: look.fences(),
        i3_stale_writes: look.stale_after("write"),
        i4_after_seal: look.stale_after("seal"),
        i5_late_signals: look.late_signals(),
        i6_left: left,
        i7_stuck: look.stuck(),
        i8_exclusion: look.exclusion(),
        i9_lost: look.of("write", Kind::Ok).filter(|write| !stored.contains(&item(write))).count(),
    }
}
