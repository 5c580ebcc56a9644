//! The contract at the head of a script.
//!
//! ```lua
//! #!lua flags=allow-oom
//! -- release: free the lock if this token still holds it.
//! -- KEYS[1] lock   string "token:fence"; absent = free
//! -- ARGV[1] token  bytes
//! -- returns  1 freed | 0 not held by this token
//! -- replay   a second run answers 0 and writes nothing
//! ```

use super::Problems;
use super::indexes::{self, Indexes};

/// What the head says.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) flags: Vec<String>,
    pub(super) keys: Indexes,
    pub(super) arguments: Indexes,
    /// The text after `returns`, continued lines joined, and its line.
    pub(super) returns: Option<(usize, String)>,
    /// The end of the narrowest range of a key or an argument, as in `most jobs to take, 1 to 1000`.
    pub(super) count: Option<u64>,
}

/// Reads the head; whatever it lacks is a problem.
pub(super) fn parse(text: &str, stem: &str, problems: &mut Problems) -> Header {
    let mut lines = text.lines().zip(1..).map(|(text, line)| (line, text));
    let mut header = Header { flags: flags(lines.next().map_or("", |l| l.1), problems), ..Header::default() };
    let comments = lines.map_while(|(line, text)| Some((line, text.strip_prefix("--")?.trim_end())));
    let mut items = join(comments).into_iter();

    let title = items.next().map(|i| i.1).unwrap_or_default();
    if !title.strip_prefix(stem).and_then(|t| t.strip_prefix(": ")).is_some_and(|t| t.ends_with('.')) {
        problems.push((2, format!("the second line is `-- {stem}: what it does.`, named as the file")));
    }
    let mut replay = false;
    for (line, item) in items {
        if item.starts_with(['K', 'A']) {
            header.count = header.count.into_iter().chain(count(&item)).min();
        }
        if let Some(rest) = item.strip_prefix("KEYS[") {
            indexes::add(line, rest, "KEYS", &mut header.keys, problems);
        } else if let Some(rest) = item.strip_prefix("ARGV[") {
            indexes::add(line, rest, "ARGV", &mut header.arguments, problems);
        } else if let Some(rest) = word(&item, "returns") {
            header.returns = Some((line, rest.to_owned()));
        } else if word(&item, "replay").is_some() {
            replay = true;
        }
    }
    if header.returns.is_none() {
        problems.push((2, "the header lacks `-- returns  1 done | 0 not done`".to_owned()));
    }
    if !replay {
        problems.push((
            2,
            "the header lacks `-- replay   what a second run with the same arguments does`".to_owned(),
        ));
    }
    header
}

/// Joins every line that starts no item to the item before it.
fn join<'a>(comments: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    for (line, text) in comments {
        let text = text.trim();
        let starts = text.starts_with("KEYS[") || text.starts_with("ARGV[");
        let starts = starts || ["returns", "replay", "parts"].iter().any(|item| word(text, item).is_some());
        match items.last_mut() {
            Some((_, item)) if !starts => *item = format!("{item} {text}"),
            _ => items.push((line, text.to_owned())),
        }
    }
    items
}

/// The end of a range, `1000` in `1 to 1000`; of `1 to 2^53` nobody can unpack so many.
fn count(item: &str) -> Option<u64> {
    let words: Vec<&str> = item.split([' ', ',', ';', '.']).collect();
    let ranges = words.windows(3).filter(|w| w[1] == "to" && w[0].parse::<u64>().is_ok());
    ranges.map(|w| w[2].parse().unwrap_or(u64::MAX)).min()
}

/// What follows `keyword` and a blank, if something does.
fn word<'a>(item: &'a str, keyword: &str) -> Option<&'a str> {
    let rest = item.strip_prefix(keyword)?;
    (rest.starts_with(' ') && !rest.trim().is_empty()).then(|| rest.trim())
}

fn flags(first: &str, problems: &mut Problems) -> Vec<String> {
    let Some(rest) = first.strip_prefix("#!lua").filter(|r| r.is_empty() || r.starts_with(' ')) else {
        problems.push((
            1,
            "the first line is `#!lua` or `#!lua flags=..`: without it a server checks nothing".to_owned(),
        ));
        return Vec::new();
    };
    let mut flags = Vec::new();
    for word in rest.split_whitespace() {
        let Some(list) = word.strip_prefix("flags=") else {
            problems.push((1, format!("`{word}` is no `flags=a,b`")));
            continue;
        };
        flags.extend(list.split(',').map(str::to_owned));
    }
    for flag in &flags {
        match flag.as_str() {
            "no-writes" | "allow-oom" | "allow-stale" => {}
            "no-cluster" | "allow-cross-slot-keys" => {
                problems
                    .push((1, format!("flag {flag}: every script runs on a cluster, with keys of one slot")));
            }
            other => problems
                .push((1, format!("unknown flag `{other}`; known: no-writes, allow-oom, allow-stale"))),
        }
    }
    flags
}
