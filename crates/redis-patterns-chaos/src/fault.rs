//! The faults, by the numbers of the study: what each is, where it can be done, what it may cost.

use crate::pattern::Pattern;
use redis_patterns_testkit::servers::Topology;
use std::fmt;
use std::str::FromStr;

/// A fault, `F0` to `F20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault(pub(crate) u8);

/// Where a fault can be done with the processes of one machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    One,
    Cluster,
    Both,
}

const FAULTS: [(On, &str); 21] = [
    (On::Both, "nothing"),
    (On::One, "kill -9 of a worker"),
    (On::One, "a worker stands still for more than two leases"),
    (On::One, "the reply is lost on the way, its connection cut"),
    (On::One, "replies and requests are cut in their middle, stalled, sliced"),
    (On::One, "callers drop their calls half way"),
    (On::Both, "SCRIPT FLUSH every 50 ms"),
    (On::Both, "CLIENT KILL, CLIENT PAUSE"),
    (On::One, "kill -9 of Redis, restart (AOF, everysec)"),
    (On::One, "power loss: kill -9, the last second of the AOF is gone"),
    (On::Cluster, "kill -9 of a primary, failover; every second one lagged behind"),
    (On::Cluster, "a primary stands still until it is deposed, then wakes"),
    (On::Cluster, "F10 and F11, with grants that wait for a replica"),
    (On::Cluster, "slots move under load, held half moved"),
    (On::One, "memory is full"),
    (On::One, "the disk fails (MISCONF)"),
    (On::One, "the workers' clocks jump by an hour"),
    (On::One, "the server's clock jumps"),
    (On::Both, "hostile ids"),
    (On::One, "the server stands still for three deadlines"),
    (On::Cluster, "F1, F6, F7, F10 and F13 mixed"),
];

/// What a failover or a power cut may cost. The fence (L1, L2) is not among them.
const FORGETS: &[&str] =
    &["R1", "L3", "L6", "I1", "I2", "I4", "I5", "S1", "S2", "S3", "S4", "S6", "Q1", "Q3", "Q4", "Q6"];
/// What a jump of the server's clock may cost: leases and windows end early or late.
const JUMPS: &[&str] = &["R1", "R2", "L3", "L6", "I1", "I4", "I5", "S2", "S5", "S6", "Q3", "Q5"];

impl Fault {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..=20).map(Self)
    }

    pub(crate) fn what(self) -> &'static str {
        FAULTS[usize::from(self.0)].1
    }

    pub(crate) fn applies(self, pattern: Pattern, topology: Topology) -> bool {
        let on = FAULTS[usize::from(self.0)].0;
        let here = match topology {
            Topology::Standalone => on != On::Cluster,
            Topology::Cluster => on != On::One,
        };
        // Of the five, the lock alone can wait for replicas.
        here && (self.0 != 12 || pattern == Pattern::Lock)
    }

    /// Whether a broken rule is the published price of this fault.
    pub(crate) fn allows(self, rule: &str) -> bool {
        match self.0 {
            9..=12 | 20 => FORGETS.contains(&rule),
            17 => JUMPS.contains(&rule),
            _ => false,
        }
    }

    /// Whether calls must succeed through it.
    pub(crate) fn is_unnoticed(self) -> bool {
        matches!(self.0, 0 | 6 | 16 | 18)
    }

    /// Whether it makes a replica a primary.
    pub(crate) fn fails_over(self) -> bool {
        matches!(self.0, 10..=12 | 20)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("F{}", self.0))
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim_start_matches(['F', 'f']).parse().ok().filter(|number| *number <= 20);
        number.map(Self).ok_or_else(|| format!("no fault {text:?}; there are F0 to F20"))
    }
}
