//! Reads the lines of `cargo test` and counts.

/// The sum of all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) ignored: usize,
    /// The names under the last `failures:` of each program.
    pub(super) failed_names: Vec<String>,
    /// Names of a list that may still turn out to be the messages of the failures.
    pub(super) candidates: Vec<String>,
}

impl Tally {
    pub(super) fn line(&mut self, line: &str) {
        if line == "failures:" {
            // Comes twice: first the messages, then the names.
            self.candidates.clear();
        } else if let Some(name) = line.strip_prefix("    ") {
            self.candidates.push(name.to_string());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
        }
    }

    /// `FAILED. 3 passed; 1 failed; 0 ignored; ...`
    fn result(&mut self, text: &str) {
        let count = |what: &str| {
            let part = text.split([';', '.']).find_map(|part| part.trim().strip_suffix(what));
            part.and_then(|number| number.trim().parse::<usize>().ok()).unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
        if text.starts_with("FAILED") {
            self.failed_names.append(&mut self.candidates);
        }
        self.candidates.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 2 tests
test a ... ok
test b::c ... FAILED

failures:

---- b::c stdout ----
    an indented message

failures:
    b::c

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s

running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.50s
";

    #[test]
    fn all_programs_are_summed_and_the_failed_named() {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| tally.line(line));
        assert_eq!((tally.passed, tally.failed, tally.ignored), (3, 1, 1));
        assert_eq!(tally.failed_names, ["b::c"]);
    }
}
