//! What was expected, what happened, and the table at the end.

use std::fmt::{self, Debug};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

/// The answers to `POST /orders` as the users saw them.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) executed: Counter,
    pub(crate) replayed: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) mismatches: Counter,
    pub(crate) denied: Counter,
    pub(crate) malformed: Counter,
    pub(crate) logged_out: Counter,
    pub(crate) other: Counter,
}

/// A number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Answers {
    /// Requests that the limit let through.
    pub(crate) fn allowed(&self) -> u64 {
        let through =
            [&self.executed, &self.replayed, &self.conflicts, &self.mismatches, &self.malformed, &self.other];
        through.map(Counter::get).iter().sum()
    }
}

/// The figures of the table that the users do not see.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behind {
    pub(crate) jobs_done: u64,
    pub(crate) jobs_recovered: u64,
    pub(crate) jobs_lost: u64,
    pub(crate) stale_refused: u64,
    pub(crate) stale_accepted: u64,
}

/// The expectations of a run, told as they are met.
#[derive(Debug, Default)]
pub(crate) struct Report {
    met: u64,
    failed: Vec<String>,
}

impl Report {
    /// Begins an act.
    pub(crate) fn act(&mut self, title: &str) {
        println!("{title}");
    }

    /// Something that must be so.
    pub(crate) fn holds(&mut self, what: &str, so: bool) {
        self.note(what.to_owned(), so);
    }

    /// A figure that must be this one.
    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found == expected {
            self.note(format!("{what}: {found:?}"), true);
        } else {
            self.note(format!("{what}: {found:?} instead of {expected:?}"), false);
        }
    }

    /// An act that could not be played to its end.
    pub(crate) fn broke_off(&mut self, why: &dyn fmt::Display) {
        self.note(why.to_string(), false);
    }

    fn note(&mut self, text: String, met: bool) {
        println!("  {} {text}", if met { "ok  " } else { "FAIL" });
        if met {
            self.met += 1;
        } else {
            self.failed.push(text);
        }
    }

    /// The table, the verdict and the exit code.
    pub(crate) fn close(self, answers: &Answers, behind: Behind, seconds: f64) -> ExitCode {
        println!("\n{}", table(answers, behind));
        if self.failed.is_empty() {
            println!("\nall {} expectations were met in {seconds:.1} s", self.met);
            return ExitCode::SUCCESS;
        }
        println!("\nFAILED: {} of {} expectations", self.failed.len(), self.failed.len() as u64 + self.met);
        for text in self.failed {
            println!("  {text}");
        }
        ExitCode::FAILURE
    }
}

fn table(answers: &Answers, behind: Behind) -> String {
    let rows = [
        ("requests", vec![("allowed", answers.allowed()), ("denied", answers.denied.get())]),
        (
            "idempotency",
            vec![
                ("executed", answers.executed.get()),
                ("replayed", answers.replayed.get()),
                ("conflicts", answers.conflicts.get()),
                ("mismatches", answers.mismatches.get()),
            ],
        ),
        (
            "jobs",
            vec![
                ("done", behind.jobs_done),
                ("recovered", behind.jobs_recovered),
                ("lost", behind.jobs_lost),
            ],
        ),
        ("stale writes", vec![("refused", behind.stale_refused), ("accepted", behind.stale_accepted)]),
    ];
    let cells = |cells: &[(&str, u64)]| {
        let cells = cells.iter().map(|(name, number)| format!("{name:<10} {number:>4}"));
        cells.collect::<Vec<_>>().join("   ")
    };
    rows.map(|(name, numbers)| format!("{name:<13} {}", cells(&numbers))).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_expectation_fails_the_run() {
        let mut report = Report::default();
        report.equal("one", 1, 1);
        report.equal("two", 1, 2);
        assert_eq!(report.failed, ["two: 1 instead of 2"]);
        assert_eq!(report.close(&Answers::default(), Behind::default(), 0.0), ExitCode::FAILURE);
    }

    #[test]
    fn the_table_has_a_row_for_each_pattern_that_counts() {
        let answers = Answers::default();
        answers.executed.add();
        let table = table(&answers, Behind { jobs_done: 7, ..Behind::default() });
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains("executed      1") && table.contains("done          7"), "{table}");
    }
}
