//! Deliberately wrong implementations, as they are seen in the wild: the checkers must convict each
//! one, or they prove nothing.

pub(crate) mod idem;
pub(crate) mod lock;
pub(crate) mod queue;
pub(crate) mod ratelimit;
pub(crate) mod session;

use crate::fault::Fault;
use crate::pattern::Pattern;
use redis_patterns_testkit::servers::Topology;

/// A wrong implementation, the fault under which it shows, and the rules that it must break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    pub(crate) number: u8,
    pub(crate) what: &'static str,
    pub(crate) pattern: Pattern,
    pub(crate) fault: Fault,
    pub(crate) topology: Topology,
    /// One of them is enough.
    pub(crate) breaks: &'static [&'static str],
}

const fn control(
    number: u8,
    what: &'static str,
    pattern: Pattern,
    fault: u8,
    breaks: &'static [&'static str],
) -> Control {
    Control { number, what, pattern, fault: Fault(fault), topology: Topology::Standalone, breaks }
}

const fn in_cluster(control: Control) -> Control {
    Control { topology: Topology::Cluster, ..control }
}

/// All of them, numbered as in the study.
pub(crate) const CONTROLS: [Control; 14] = [
    control(1, "a limit by GET and SET in two calls", Pattern::Ratelimit, 0, &["R1"]),
    control(2, "a window without an expiry", Pattern::Ratelimit, 0, &["K1"]),
    control(3, "an unlock by plain DEL", Pattern::Lock, 2, &["L3"]),
    in_cluster(control(4, "a fence by plain INCR", Pattern::Lock, 10, &["L2"])),
    control(5, "SET NX that does not know its own token again", Pattern::Lock, 3, &["L6"]),
    control(6, "a resource that checks no fence", Pattern::Lock, 2, &["L1"]),
    control(7, "a late owner that may complete", Pattern::Idem, 2, &["I4"]),
    control(8, "no fingerprint", Pattern::Idem, 0, &["I3"]),
    control(9, "a session saved by plain SET", Pattern::Session, 0, &["S1"]),
    control(10, "SET XX with its reply ignored", Pattern::Session, 0, &["S6"]),
    control(11, "RPOP, then ZADD", Pattern::Queue, 1, &["Q1"]),
    control(12, "an acknowledgement without a look at the lease", Pattern::Queue, 2, &["Q4"]),
    in_cluster(control(13, "a script with a key that it does not declare", Pattern::Ratelimit, 13, &["A1"])),
    control(14, "a client that sends three times", Pattern::Ratelimit, 3, &["E2"]),
];
