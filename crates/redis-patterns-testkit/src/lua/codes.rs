//! Integer codes: those the header's `returns` lists and those the body returns.
//!
//! A code is a reply that is an integer (`1 freed | 0 not held`) or a list that starts with one
//! (`{1, fence} acquired`). A return of anything else hides its code, so a listed code may be
//! behind it; a header that lists anything else (`remaining ms`) may cover every integer. What is
//! plain on both sides must be equal.

use super::Problems;
use super::header::Header;
use super::tokens::{Kind, Token, reads};
use std::collections::BTreeMap;

/// The listed codes are the returned ones.
pub(super) fn compare(header: &Header, body: &[Token], problems: &mut Problems) {
    let Some((line, text)) = &header.returns else {
        return;
    };
    let listed = alternatives(text);
    let (returned, hidden) = returned(body);
    for (code, at) in &returned {
        if !listed.contains(&Some(*code)) && !listed.contains(&None) {
            problems.push((*at, format!("returns {code}, which the header's `returns` does not list")));
        }
    }
    for code in listed.iter().flatten() {
        if !hidden && !returned.contains_key(code) {
            problems.push((*line, format!("`returns` lists {code}, which the body never returns")));
        }
    }
}

/// The alternatives of a `returns` line, each with its code: those of `1 freed | 0 not held`, and of
/// `{1 taken | 0 over, jobs | -1 none}` those before the first comma.
fn alternatives(text: &str) -> Vec<Option<i64>> {
    let (mut depth, mut start, mut found) = (0usize, 0, Vec::new());
    for (at, c) in text.char_indices().chain([(text.len(), '|')]) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '|' if depth == 0 || at == text.len() => {
                let part = text[start..at].trim();
                let first = part.strip_prefix('{').map_or(part, |list| first_item(list));
                found.extend(first.split('|').map(code));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn first_item(list: &str) -> &str {
    list.split([',', '}']).next().unwrap_or(list)
}

/// The integer that an alternative starts with.
fn code(alternative: &str) -> Option<i64> {
    let text = alternative.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The codes of the script's own returns with a line of each, and whether some return hides its
/// code.
fn returned(body: &[Token]) -> (BTreeMap<i64, usize>, bool) {
    let (mut codes, mut hidden) = (BTreeMap::new(), false);
    for at in own_returns(body) {
        let found = codes_of(body, at);
        hidden |= found.is_empty();
        codes.extend(found.into_iter().map(|code| (code, body[at].line)));
    }
    (codes, hidden)
}

/// `return 1`, `return {1, ..}`, `return x and 1 or 0`.
fn codes_of(body: &[Token], at: usize) -> Vec<i64> {
    let start = at + 1 + usize::from(reads(body, at + 1, &["{"]));
    if let Some(code) = integer(body, start) {
        return vec![code];
    }
    let ends = ["end", "else", "elseif", "until", ",", "}", "return"];
    let expression = (start..body.len()).take_while(|i| !ends.iter().any(|e| body[*i].is(e)));
    expression
        .filter(|i| body[*i].is("and") || body[*i].is("or"))
        .filter_map(|i| integer(body, i + 1))
        .collect()
}

/// An integer that stands alone: `1`, `-2`, not the first half of `1 + n`.
fn integer(body: &[Token], at: usize) -> Option<i64> {
    let negative = reads(body, at, &["-"]);
    let at = at + usize::from(negative);
    let value: i64 = body.get(at).filter(|t| t.kind == Kind::Number)?.text.parse().ok()?;
    let alone =
        !body.get(at + 1).is_some_and(|t| ["+", "-", "*", "/", "%", "..", "^"].iter().any(|o| t.is(o)));
    alone.then_some(if negative { -value } else { value })
}

/// The `return`s outside every function.
fn own_returns(body: &[Token]) -> Vec<usize> {
    let (mut found, mut blocks) = (Vec::new(), Vec::new());
    for (at, token) in body.iter().enumerate() {
        if token.is("function") || token.is("if") || token.is("do") || token.is("repeat") {
            blocks.push(token.is("function"));
        } else if token.is("end") || token.is("until") {
            blocks.pop();
        } else if token.is("return") && !blocks.contains(&true) {
            found.push(at);
        }
    }
    found
}
