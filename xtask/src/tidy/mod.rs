//! `cargo xtask tidy`: rules that hold for the text and that no compiler checks.

mod budgets;
mod layers;
mod rooms;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use redis_patterns_testkit::lua;

use crate::args::Args;
use crate::failure::{Context, Failure};
use crate::source::code_only;
use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask tidy        one line per finding; silent text is tidy text

  scripts   the header of each .lua against its body (KEYS, ARGV, codes, no key built, no late return), 80 lines
  budgets   .rs file 400 lines, function 70 lines of code, lib.rs of a pattern 80 lines
  layers    no pattern needs another; the client crate is named in one folder only
  rooms     the same files in each pattern crate; what a published crate must have
  words     nothing unfinished; no sleep in a test without a reason (`// sleep: why`)
";

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: PathBuf,
    /// Counted from 1; 0 speaks of the whole file.
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            0 => write!(f, "{path}: {}", self.text),
            line => write!(f, "{path}:{line}: {}", self.text),
        }
    }
}

/// A file of the repository, its path as seen from the root.
#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
    /// The text without comments and literals; the text itself if it is not Rust.
    code: String,
}

impl File {
    fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if has_extension(&path, "rs") { code_only(&text) } else { text.clone() };
        Self { path, text, code }
    }

    fn finding(&self, line: usize, text: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, text: text.into() }
    }
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if !args.parse_all(HELP, |_, _| Ok(false))? {
        return Ok(());
    }
    let findings = findings(&Workspace::load()?)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => {
            Err(Failure::task(format!("not tidy in {count} places; each line above says what is asked for")))
        }
    }
}

/// Everything that is not tidy.
pub(crate) fn findings(workspace: &Workspace) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for path in files_below(&workspace.root)? {
        let short = workspace.short(&path);
        let text = std::fs::read_to_string(&path).context(path.display())?;
        let file = File::new(short, text);
        findings.extend(budgets::check(&file));
        findings.extend(words::check(&file));
        findings.extend(layers::check_source(&file));
        if is_script(&file.path) {
            findings.extend(check_script(&path, short)?);
        }
    }
    findings.extend(layers::check_members(&workspace.members));
    findings.extend(rooms::check(workspace));
    Ok(findings)
}

fn is_script(path: &Path) -> bool {
    has_extension(path, "lua") && path.iter().any(|part| part == "src")
}

fn check_script(path: &Path, short: &Path) -> Result<Vec<Finding>, Failure> {
    let found = lua::check(path).context(short.display())?;
    let ours = |finding: lua::Finding| Finding { path: short.into(), line: finding.line, text: finding.text };
    Ok(found.into_iter().map(ours).collect())
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// Every .rs and .lua file of ours, sorted.
fn files_below(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).context(folder.display())? {
            let path = entry.context(folder.display())?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if has_extension(&path, "rs") || has_extension(&path, "lua") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_an_editor_can_follow() {
        let file = File::new("crates/a/src/lib.rs", "");
        assert_eq!(file.finding(7, "too long").to_string(), "crates/a/src/lib.rs:7: too long");
        assert_eq!(file.finding(0, "too long").to_string(), "crates/a/src/lib.rs: too long");
    }

    #[test]
    fn only_the_scripts_of_a_crate_are_scripts() {
        assert!(is_script(Path::new("crates/a/src/scripts/take.lua")));
        assert!(!is_script(Path::new("crates/a/tests/bad/take.lua")));
    }

    #[test]
    fn a_bad_script_is_found_under_its_short_name() {
        let path = std::env::temp_dir().join(format!("bad-{}.lua", std::process::id()));
        std::fs::write(&path, "while true do end\n").unwrap();
        let findings = check_script(&path, Path::new("x/src/bad.lua")).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!findings.is_empty());
        assert!(findings[0].to_string().starts_with("x/src/bad.lua:"), "{}", findings[0]);
    }
}
