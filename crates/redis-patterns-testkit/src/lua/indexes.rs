//! The indexes of `KEYS` and `ARGV`: the header documents exactly those that the body uses.

use super::Problems;
use super::header::Header;
use super::tokens::{Kind, Token, reads};
use std::collections::BTreeSet;

/// The documented indexes of `KEYS` or `ARGV`.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// Line and index, in the order of the header.
    fixed: Vec<(usize, usize)>,
    /// The first index of `KEYS[1..n]` or `KEYS[2..]`.
    open_from: Option<usize>,
}

/// One `KEYS[1] name  type` line, from behind its bracket.
pub(super) fn add(line: usize, rest: &str, array: &str, into: &mut Indexes, problems: &mut Problems) {
    let (number, words) = rest.split_once(']').unwrap_or((rest, ""));
    if words.split_whitespace().count() < 2 {
        problems.push((
            line,
            format!("`{array}[{number}]` needs a name and what it holds (type and layout, or unit)"),
        ));
    }
    let (first, open) = number.split_once("..").map_or((number, false), |(first, _)| (first, true));
    let expected = into.fixed.len() + 1;
    match first.parse::<usize>() {
        Ok(_) if into.open_from.is_some() => {
            problems.push((line, format!("`{array}[{number}]` comes after a list without end")));
        }
        Ok(n) if n == expected && open => into.open_from = Some(n),
        Ok(n) if n == expected => into.fixed.push((line, n)),
        _ => problems.push((
            line,
            format!(
                "`{array}[{number}]` where `{array}[{expected}]` or `{array}[{expected}..]` was expected"
            ),
        )),
    }
}

/// The header documents exactly the indexes that the body uses.
pub(super) fn compare(header: &Header, body: &[Token], problems: &mut Problems) {
    compare_one(&header.keys, "KEYS", body, problems);
    compare_one(&header.arguments, "ARGV", body, problems);
}

fn compare_one(header: &Indexes, array: &str, body: &[Token], problems: &mut Problems) {
    let mut used = BTreeSet::<(usize, usize)>::new();
    let mut walked = None;
    for at in (0..body.len()).filter(|i| body[*i].is(array)) {
        let literal = body.get(at + 2).filter(|t| t.kind == Kind::Number && reads(body, at + 1, &["["]));
        match literal.filter(|_| reads(body, at + 3, &["]"])).and_then(|t| t.text.parse().ok()) {
            Some(n) => _ = used.insert((n, body[at].line)),
            None => walked = walked.or(Some(body[at].line)),
        }
    }
    for (n, line) in &used {
        let listed =
            header.fixed.iter().any(|(_, i)| i == n) || header.open_from.is_some_and(|from| *n >= from);
        if !listed {
            problems.push((*line, format!("{array}[{n}] is used here but not in the header")));
        }
    }
    for (line, n) in &header.fixed {
        // A body that walks the array uses every index of it.
        if walked.is_none() && !used.iter().any(|(i, _)| i == n) {
            problems.push((*line, format!("{array}[{n}] is in the header but the body does not use it")));
        }
    }
    match (walked, header.open_from) {
        (Some(line), None) => problems.push((
            line,
            format!(
                "the body walks {array} but the header lists single indexes; write `{array}[{}..]`",
                header.fixed.len() + 1
            ),
        )),
        (None, Some(from)) => {
            problems
                .push((2, format!("the header lists {array}[{from}..] but the body does not walk {array}")));
        }
        _ => {}
    }
}
