//! What a run of the tests comes down to.

use std::collections::BTreeMap;
use std::fmt;

use redis_patterns_testkit::servers::{Running, Topology};

use super::skips::Skip;
use super::tally::Tally;
use crate::failure::Failure;
use crate::servers::Fleet;

/// The end of the output; its last line is the count.
#[derive(Debug)]
pub(super) struct Summary {
    ran_on: Vec<String>,
    missing: Vec<(Topology, String)>,
    skips: Vec<Skip>,
    tally: Tally,
    cargo_succeeded: bool,
}

impl Summary {
    pub(super) fn new(fleet: &Fleet, skips: Vec<Skip>, tally: Tally, cargo_succeeded: bool) -> Self {
        let describe = |running: &Running| format!("{}: {}", running.topology(), running.describe());
        Self {
            ran_on: fleet.running.iter().map(describe).collect(),
            missing: fleet.missing.clone(),
            skips,
            tally,
            cargo_succeeded,
        }
    }

    /// A test that skips itself counts as passed for cargo; here it does not.
    fn passed(&self) -> usize {
        self.tally.passed.saturating_sub(self.skips.len())
    }

    fn skipped(&self) -> usize {
        self.skips.len() + self.tally.ignored
    }

    /// A topology that is left out gives many tests the same reason; it is said once.
    fn by_reason(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut reasons: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for skip in &self.skips {
            reasons.entry(skip.reason.as_str()).or_default().push(skip.test.as_str());
        }
        reasons
    }

    fn ran_nothing(&self) -> bool {
        self.tally.passed + self.tally.failed == 0
    }

    /// What else there is to say when the counts alone would look better than it went.
    fn remark(&self) -> Option<&'static str> {
        match (self.cargo_succeeded, self.tally.failed) {
            (false, 0) => Some(
                "cargo test failed though no test was counted as failed: a build error or a crash, see above",
            ),
            (true, 0) if self.ran_nothing() => Some("no test ran: does the name or the file match?"),
            _ => None,
        }
    }

    /// Nothing more is printed: the count is the last line.
    pub(super) fn verdict(&self, may_run_nothing: bool) -> Result<(), Failure> {
        let ran = !self.ran_nothing() || may_run_nothing;
        if self.cargo_succeeded && self.tally.failed == 0 && ran {
            return Ok(());
        }
        Err(Failure::Child(1))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nran on")?;
        self.ran_on.iter().try_for_each(|server| writeln!(f, "  {server}"))?;
        if !self.tally.failed_names.is_empty() {
            writeln!(f, "failed")?;
            self.tally.failed_names.iter().try_for_each(|name| writeln!(f, "  {name}"))?;
        }
        if self.skipped() + self.missing.len() > 0 {
            writeln!(f, "skipped")?;
        }
        for (topology, reason) in &self.missing {
            writeln!(f, "  everything on {topology}: {reason}")?;
        }
        for (reason, tests) in self.by_reason() {
            writeln!(f, "  {reason}")?;
            tests.iter().try_for_each(|test| writeln!(f, "    {test}"))?;
        }
        if self.tally.ignored > 0 {
            writeln!(f, "  {} marked as ignored in the code", self.tally.ignored)?;
        }
        self.remark().iter().try_for_each(|remark| writeln!(f, "{remark}"))?;
        let (passed, failed, skipped) = (self.passed(), self.tally.failed, self.skipped());
        writeln!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(passed: usize, failed: usize, cargo_succeeded: bool) -> Summary {
        let tally = Tally { passed, failed, failed_names: vec!["a::b".into(); failed], ..Tally::default() };
        let skips = vec![Skip { test: "c::d".into(), reason: "no cluster".into() }];
        let missing = vec![(Topology::Cluster, "cannot start".into())];
        Summary { ran_on: vec!["Redis 8".into()], missing, skips, tally, cargo_succeeded }
    }

    #[test]
    fn a_skipped_test_has_not_passed_and_the_count_is_the_last_line() {
        let text = summary(5, 1, false).to_string();
        assert!(text.contains("ran on\n  Redis 8\nfailed\n  a::b\nskipped\n"), "{text}");
        assert!(text.contains("  everything on cluster: cannot start\n  no cluster\n    c::d\n"), "{text}");
        assert_eq!(text.lines().last(), Some("4 passed, 1 failed, 1 skipped"));
    }

    #[test]
    fn only_a_clean_run_is_a_success() {
        assert!(summary(5, 0, true).verdict(false).is_ok());
        assert_eq!(summary(5, 1, false).verdict(false).unwrap_err().code(), 1);
        assert!(summary(5, 0, false).verdict(false).is_err());
    }

    #[test]
    fn a_crash_without_a_failed_test_is_said() {
        assert!(summary(5, 0, false).to_string().contains("a build error or a crash"));
    }

    #[test]
    fn a_name_that_matches_nothing_is_no_success() {
        assert!(summary(0, 0, true).to_string().contains("no test ran"));
        assert!(summary(0, 0, true).verdict(false).is_err());
        assert!(summary(0, 0, true).verdict(true).is_ok());
    }
}
