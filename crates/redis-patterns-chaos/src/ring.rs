//! How much is done: the cells of a run, and the dose of each.

use crate::controls::{CONTROLS, Control};
use crate::fault::Fault;
use crate::nemesis::Dose;
use crate::pattern::Pattern;
use redis_patterns_testkit::servers::Topology;
use std::str::FromStr;
use std::time::Duration;

/// One pattern under one fault on one topology.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) pattern: Pattern,
    pub(crate) fault: Fault,
    pub(crate) topology: Topology,
    pub(crate) control: Option<Control>,
}

impl Cell {
    pub(crate) fn name(&self) -> String {
        let topology = if self.topology == Topology::Cluster { "C" } else { "S" };
        match self.control {
            None => format!("{:9} {:3} {topology}", self.pattern, self.fault),
            Some(control) => format!("control {:2} {:3} {topology}", control.number, self.fault),
        }
    }

    /// The same for the same cell of the same run.
    pub(crate) fn seed(&self, run: u64) -> u64 {
        let control = self.control.map_or(0, |control| control.number);
        let words = [self.pattern as u8, self.fault.0, u8::from(self.topology == Topology::Cluster), control];
        let mix = |sum: u64, word: u8| (sum ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        words.into_iter().fold(run ^ 0xcbf2_9ce4_8422_2325, mix)
    }
}

/// How far a run goes: at each push, before a merge, each night, before a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ring {
    Push,
    Merge,
    Nightly,
    Release,
}

impl FromStr for Ring {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "push" => Ok(Self::Push),
            "merge" => Ok(Self::Merge),
            "nightly" => Ok(Self::Nightly),
            "release" => Ok(Self::Release),
            _ => Err(format!("no ring {text:?}; there are push, merge, nightly, release")),
        }
    }
}

/// What a push must not wait for.
const PUSH: [u8; 9] = [0, 1, 3, 6, 8, 10, 13, 14, 18];

impl Ring {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Merge => "merge",
            Self::Nightly => "nightly",
            Self::Release => "release",
        }
    }

    fn holds(self, fault: Fault, topology: Topology) -> bool {
        let shorter = topology == Topology::Cluster && ![10, 13].contains(&fault.0);
        self > Self::Push || (PUSH.contains(&fault.0) && !shorter)
    }

    /// Load before the first fault.
    pub(crate) fn warm(self) -> Duration {
        Duration::from_millis([700, 1_000, 5_000, 5_000][self as usize])
    }

    pub(crate) fn dose(self) -> Dose {
        let seconds = [2, 4, 30, 300][self as usize];
        Dose { time: Duration::from_secs(seconds), rounds: [2, 3, 20, 100][self as usize] }
    }

    /// Calls in a second that a cell must reach before its first fault. The first two rings run on
    /// machines that do other things too.
    pub(crate) fn least_load(self, pattern: Pattern) -> u64 {
        let most = match pattern {
            // Work under a lock goes one by one, and a job is worked on.
            Pattern::Lock | Pattern::Queue => 300,
            _ => 1_000,
        };
        if self <= Self::Merge { most / 10 } else { most }
    }
}

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) topology: Option<Topology>,
}

impl Asked {
    /// The cells of a ring; a fault that is named runs in every ring.
    pub(crate) fn cells(&self, ring: Ring) -> Vec<Cell> {
        let mut cells = Vec::new();
        for topology in [Topology::Cluster, Topology::Standalone] {
            for fault in Fault::all() {
                for pattern in Pattern::ALL {
                    let cell = Cell { pattern, fault, topology, control: None };
                    if self.wants(&cell) && (!self.faults.is_empty() || ring.holds(fault, topology)) {
                        cells.push(cell);
                    }
                }
            }
        }
        cells
    }

    fn wants(&self, cell: &Cell) -> bool {
        cell.fault.applies(cell.pattern, cell.topology)
            && (self.patterns.is_empty() || self.patterns.contains(&cell.pattern))
            && (self.faults.is_empty() || self.faults.contains(&cell.fault))
            && self.topology.is_none_or(|topology| topology == cell.topology)
    }

    /// The controls, whatever faults were asked for.
    pub(crate) fn controls(&self) -> Vec<Cell> {
        let wanted = |control: &&Control| {
            (self.patterns.is_empty() || self.patterns.contains(&control.pattern))
                && self.topology.is_none_or(|topology| topology == control.topology)
        };
        let cell = |control: &Control| {
            let Control { pattern, fault, topology, .. } = *control;
            Cell { pattern, fault, topology, control: Some(*control) }
        };
        CONTROLS.iter().filter(wanted).map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_its_cell() {
        let cells = Asked::default().cells(Ring::Merge);
        let mut seeds: Vec<u64> = cells.iter().map(|cell| cell.seed(1)).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), cells.len());
    }

    #[test]
    fn every_fault_is_in_the_merge_ring() {
        let cells = Asked::default().cells(Ring::Merge);
        assert!(Fault::all().all(|fault| cells.iter().any(|cell| cell.fault == fault)));
        assert_eq!(Asked::default().controls().len(), 14);
    }
}
