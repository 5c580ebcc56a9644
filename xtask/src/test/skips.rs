//! The file in which tests say that they could not run here, one `name<TAB>reason` per line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Failure};

const VARIABLE: &str = "REDIS_PATTERNS_SKIP_LOG";

/// The log of one run; the file goes with it.
#[derive(Debug)]
pub(super) struct SkipLog(PathBuf);

/// A test that could not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) test: String,
    pub(super) reason: String,
}

impl SkipLog {
    /// An empty log below the build folder, apart from that of another run at the same time.
    pub(super) fn new(target: &Path) -> Result<Self, Failure> {
        let path = target.join(format!("skipped-{}.log", std::process::id()));
        fs::create_dir_all(target).context(target.display())?;
        fs::write(&path, "").context(path.display())?;
        Ok(Self(path))
    }

    pub(super) fn tell(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }

    pub(super) fn read(&self) -> Result<Vec<Skip>, Failure> {
        let text = fs::read_to_string(&self.0).context(self.0.display())?;
        Ok(text.lines().filter(|line| !line.trim().is_empty()).map(Skip::parse).collect())
    }
}

impl Drop for SkipLog {
    fn drop(&mut self) {
        // A leftover is harmless: the next run has a file of its own.
        let _ = fs::remove_file(&self.0);
    }
}

impl Skip {
    fn parse(line: &str) -> Self {
        let (test, reason) = line.split_once('\t').unwrap_or((line, "no reason given"));
        Self { test: test.trim().into(), reason: reason.trim().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_test_and_its_reason_and_the_file_goes() {
        let log = SkipLog::new(&std::env::temp_dir()).unwrap();
        assert_eq!(log.read().unwrap(), []);
        fs::write(&log.0, "a::b\tno cluster\n\nodd line\n").unwrap();
        let skip = |test: &str, reason: &str| Skip { test: test.into(), reason: reason.into() };
        assert_eq!(log.read().unwrap(), [skip("a::b", "no cluster"), skip("odd line", "no reason given")]);
        let path = log.0.clone();
        drop(log);
        assert!(!path.exists());
    }
}
