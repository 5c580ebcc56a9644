//! Checks of the text of Lua scripts: the contract at their head and the rules that keep them
//! atomic.
//!
//! A server runs whatever parses. What it cannot see is a header that lies about the body, a key
//! that was not declared, or a check that comes after a write; each of those passes every test
//! until a cluster moves a slot or memory runs out. So the text is checked, on every run, for every
//! script of the workspace:
//!
//! - header: `#!lua` and its flags, `-- name: what it does.`, one line per key and argument,
//!   `returns`, `replay`; indexes and integer codes must be those of the body.
//! - keys: the key of a command is `KEYS[..]`, a local assigned from it, or the variable of a loop
//!   over `KEYS`.
//! - loops: `for` with a bound that the caller chose; no `while`, `repeat` or recursion; `unpack`
//!   in chunks.
//! - order: read, decide, return early, then write. The heuristic: a block entered after a write
//!   holds no `return`.
//! - parts: a script may be made of several files, and is checked as the whole that runs.
//!
//! The checks read tokens, not a syntax tree: they refuse some legal Lua, and the finding says how
//! to write it instead.

mod calls;
mod codes;
mod commands;
mod header;
mod indexes;
mod locals;
mod loops;
mod order;
mod parameters;
mod parts;
mod tokens;

use parts::Part;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tokens::Token;

/// The longest script, in lines: more than that is two scripts, or a structure that wants another
/// shape.
pub const MAX_LINES: usize = 80;

/// One rule broken at one line of one script. Shown as `path:line: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The script, as it was given to the check.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// What the rules add to: a line and a text, in any order.
type Problems = Vec<(usize, String)>;

/// Checks one script file, with the parts it lists, or one part.
///
/// # Errors
///
/// A file cannot be read as UTF-8 text; the error names it.
pub fn check(path: &Path) -> io::Result<Vec<Finding>> {
    let text = std::fs::read_to_string(path).map_err(|e| naming(path, &e))?;
    if parts::is_part(&text) {
        return parts::check(path, &text);
    }
    Ok(check_whole(path, &text, &parts::read(path, &text)?))
}

/// Checks the text of one script without parts; the path gives its name and stands in the findings,
/// nothing is read from it.
#[must_use]
pub fn check_text(path: &Path, text: &str) -> Vec<Finding> {
    check_whole(path, text, &[])
}

fn check_whole(path: &Path, text: &str, parts: &[Part]) -> Vec<Finding> {
    let mut problems = over_budget(text);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let body = body(text, parts);
    let header = header::parse(text, &stem, &mut problems);
    let calls = calls::find(&body, &mut problems);

    parts::check_main(text, parts, &mut problems);
    indexes::compare(&header, &body, &mut problems);
    codes::compare(&header, &body, &mut problems);
    calls::check_keys(&body, &calls, &mut problems);
    calls::check_flags(&header, &calls, &mut problems);
    loops::check(&header, &body, &mut problems);
    order::check(&body, &calls, &mut problems);

    problems.sort();
    problems.dedup();
    let found = problems.into_iter().map(|(line, text_of)| {
        let (path, line) = parts::locate(path, text, parts, line);
        Finding { path, line, text: text_of }
    });
    found.collect()
}

/// The tokens in the order in which they run: the parts define what `main` calls.
fn body(text: &str, parts: &[Part]) -> Vec<Token> {
    let (mut body, mut offset) = (Vec::new(), 0);
    for text in std::iter::once(text).chain(parts.iter().map(|part| part.text.as_str())) {
        let mut tokens = tokens::read(text);
        tokens.iter_mut().for_each(|token| token.line += offset);
        offset += text.lines().count().max(MAX_LINES) + 1;
        body.push(tokens);
    }
    let main = body.remove(0);
    let call = if parts.is_empty() { Vec::new() } else { tokens::read(parts::CALL) };
    body.into_iter().flatten().chain(main).chain(call).collect()
}

fn over_budget(text: &str) -> Problems {
    let lines = text.lines().count();
    let over = (lines > MAX_LINES)
        .then(|| (MAX_LINES + 1, format!("{lines} lines; a script has at most {MAX_LINES}")));
    over.into_iter().collect()
}

/// Every script of a workspace: `crates/*/src/scripts/**/*.lua`, sorted.
///
/// # Errors
///
/// The workspace has no readable `crates` folder, or a folder below it cannot be read; the error
/// names it.
pub fn find_scripts(workspace_root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for member in entries(&workspace_root.join("crates"))? {
        let scripts = member.join("src").join("scripts");
        if scripts.is_dir() {
            walk(&scripts, &mut found)?;
        }
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "lua") {
            found.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).map_err(|e| naming(folder, &e))?;
    read.map(|entry| entry.map(|e| e.path())).collect()
}

/// The same error, with the path in it: `std` leaves it out.
fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
