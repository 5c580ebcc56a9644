//! From two samples to findings. Nothing here asks a server.

mod access;
mod across;
mod clients;
mod clock;
mod durability;
mod memory;

pub(crate) use across::{Samples, across};

use crate::options::DoctorOptions;
use crate::report::{Finding, Severity};
use crate::sample::Sample;
use crate::signal::Signal;

/// One server's samples and what was found in them.
pub(crate) struct Case<'a> {
    pub(crate) now: &'a Sample,
    pub(crate) before: Option<&'a Sample>,
    pub(crate) options: &'a DoctorOptions,
    found: Vec<Finding>,
}

impl<'a> Case<'a> {
    /// Everything that is not as it should be on one server.
    pub(crate) fn judge(
        now: &'a Sample,
        before: Option<&'a Sample>,
        options: &'a DoctorOptions,
    ) -> Vec<Finding> {
        let mut case = Case { now, before, options, found: Vec::new() };
        access::judge(&mut case);
        durability::judge(&mut case);
        memory::judge(&mut case);
        clients::judge(&mut case);
        clock::judge(&mut case);
        case.found
    }

    fn find(&mut self, severity: Severity, signal: &Signal, measured: impl Into<String>) {
        self.found.push(Finding::new(severity, signal, &self.now.address, measured));
    }

    /// Finds a share of a limit that is above 80 % (warning) or 95 % (critical).
    fn find_share(&mut self, signal: &Signal, used: Option<f64>, limit: Option<f64>, what: &str) {
        let (Some(used), Some(limit)) = (used, limit.filter(|limit| *limit > 0.0)) else { return };
        let severity = match used / limit {
            share if share > 0.95 => Severity::Critical,
            share if share > 0.8 => Severity::Warning,
            _ => return,
        };
        self.find(
            severity,
            signal,
            format!("{used:.0} of {limit:.0} {what} ({:.0} %)", 100.0 * used / limit),
        );
    }

    /// Finds a counter that should stay at zero: critical while it grows, else a note.
    fn find_counted(&mut self, signal: &Signal, field: &str) {
        let total = self.now.info.number(field).unwrap_or(0.0);
        let grown = self.before.and_then(|before| self.now.growth(before, field)).unwrap_or(0.0);
        if grown > 0.0 {
            self.find(Severity::Critical, signal, format!("{field} grew by {grown:.0} to {total:.0}"));
        } else if total > 0.0 {
            self.find(Severity::Note, signal, format!("{field} is {total:.0} since the server started"));
        }
    }
}
