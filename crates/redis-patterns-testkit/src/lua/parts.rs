//! Scripts of several files: what two scripts need stands once, in a part beside them.
//!
//! The head of the script lists its parts, in order: `-- parts    token_bucket slots`. What runs is
//! the script, its parts, and `return main()`, so the script declares what they share and a
//! `local function main()`. A part begins with `-- part of check, refund: token_bucket, ..`. The
//! rules hold for the whole as for one text; the budget of lines holds for each file.

use super::{Finding, MAX_LINES, Problems, entries, naming, over_budget};
use std::io;
use std::path::{Path, PathBuf};

/// A part as it was read.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

const PART: &str = "-- part of ";
const PARTS: &str = "-- parts ";
pub(super) const CALL: &str = "return main()";

pub(super) fn is_part(text: &str) -> bool {
    text.starts_with(PART)
}

/// The parts that the head of `text` lists, from the folder of `path`.
pub(super) fn read(path: &Path, text: &str) -> io::Result<Vec<Part>> {
    let names = text.lines().find_map(|line| line.strip_prefix(PARTS)).unwrap_or_default();
    let load = |name: &str| {
        let path = path.with_file_name(format!("{name}.lua"));
        let text = std::fs::read_to_string(&path).map_err(|e| naming(&path, &e))?;
        Ok(Part { path, text })
    };
    names.split_whitespace().map(load).collect()
}

/// A part alone: its first line names the scripts that list it, and no other lists it.
pub(super) fn check(path: &Path, text: &str) -> io::Result<Vec<Finding>> {
    let mut problems = over_budget(text);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let first = text.lines().next().unwrap_or_default();
    let (of, title) = first.strip_prefix(PART).and_then(|rest| rest.split_once(": ")).unwrap_or_default();
    if !title.strip_prefix(stem.as_ref()).is_some_and(|rest| rest.starts_with(", ")) {
        problems.push((1, format!("the first line is `{PART}a, b: {stem}, what it is.`, named as the file")));
    }
    let mut users = Vec::new();
    for script in entries(path.parent().unwrap_or(Path::new(".")))? {
        if script.extension().is_some_and(|e| e == "lua") {
            let text = std::fs::read_to_string(&script).map_err(|e| naming(&script, &e))?;
            let listed = text.lines().find_map(|line| line.strip_prefix(PARTS)).unwrap_or_default();
            let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            users.extend(listed.split_whitespace().any(|part| part == stem).then_some(name));
        }
    }
    users.sort();
    if of.split(", ").ne(users.iter()) {
        problems.push((1, format!("the scripts that list it are: {}", users.join(", "))));
    }
    Ok(problems.into_iter().map(|(line, text)| Finding { path: path.to_owned(), line, text }).collect())
}

/// What a script with parts needs.
pub(super) fn check_main(text: &str, parts: &[Part], problems: &mut Problems) {
    if !parts.is_empty() && !text.lines().any(|line| line == "local function main()") {
        problems.push((
            1,
            format!("a script with parts has a `local function main()`; `{CALL}` follows the last part"),
        ));
    }
    for part in parts.iter().filter(|part| !is_part(&part.text)) {
        problems.push((1, format!("{} does not begin with `{PART}`", part.path.display())));
    }
}

/// The file and line of a line of the whole: the script's own lines come first, then each part's.
pub(super) fn locate(path: &Path, text: &str, parts: &[Part], mut line: usize) -> (PathBuf, usize) {
    let files =
        std::iter::once((path, text)).chain(parts.iter().map(|p| (p.path.as_path(), p.text.as_str())));
    for (file, text) in files {
        // The budget's finding is one line past the end.
        let lines = text.lines().count().max(MAX_LINES) + 1;
        if line <= lines {
            return (file.to_owned(), line);
        }
        line -= lines;
    }
    (path.to_owned(), 1)
}
