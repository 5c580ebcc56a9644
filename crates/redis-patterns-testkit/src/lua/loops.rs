//! Work with an end: bounded `for`, no recursion, `unpack` in chunks. And `tostring`, which loses
//! digits.

use super::Problems;
use super::header::Header;
use super::locals::{self, Holds, Locals};
use super::tokens::{Kind, Token, arguments, closing, reads};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The most values to unpack at once: Lua's own limit is a little below 8000.
const MAX_UNPACKED: u64 = 7_000;

/// Checks every loop, function and `unpack` of a script.
pub(super) fn check(header: &Header, tokens: &[Token], problems: &mut Problems) {
    let locals = locals::find(tokens);
    let counted = header.count.is_some_and(|count| count <= MAX_UNPACKED);
    for (at, token) in tokens.iter().enumerate() {
        let problem = match token.text.as_str() {
            _ if token.kind != Kind::Word => None,
            "while" | "repeat" => Some(format!("`{}` has no bound; write a numeric `for`", token.text)),
            "for" => for_loop(tokens, at, &locals),
            "unpack" if reads(tokens, at + 1, &["("]) => unpack(tokens, at, counted),
            "tostring" if reads(tokens, at + 1, &["("]) => Some(
                "tostring writes large numbers with an exponent; use string.format('%.0f', n)".to_owned(),
            ),
            _ => None,
        };
        problems.extend(problem.map(|text| (token.line, text)));
    }
    recursion(tokens, problems);
}

fn for_loop(tokens: &[Token], at: usize, locals: &Locals) -> Option<String> {
    let header = at + 1..(at..tokens.len()).find(|i| tokens[*i].is("do"))?;
    let equals = header.clone().find(|i| tokens[*i].is("=") || tokens[*i].is("in"))?;
    if tokens[equals].is("in") {
        let walks = reads(tokens, equals + 1, &["ipairs", "("]) || reads(tokens, equals + 1, &["pairs", "("]);
        let over_name = walks && tokens[equals + 3].is_word() && reads(tokens, equals + 4, &[")", "do"]);
        return (!over_name).then(|| "`for .. in` walks ipairs or pairs of a local, KEYS or ARGV".to_owned());
    }
    let parts = split(tokens, equals + 1..header.end);
    let bounded = parts.get(1).is_some_and(|bound| is_bound(&tokens[bound.clone()], locals));
    if !bounded {
        return Some("the bound of `for` is a number, #name or a local tonumber(ARGV[..])".to_owned());
    }
    let step = parts.get(2).map(|step| &tokens[step.clone()]);
    let steps = step.is_none_or(|s| s.last().is_some_and(|t| is_atom(t, locals) && t.text != "0"));
    (!steps).then(|| "the step of `for` is a number other than 0".to_owned())
}

/// Cuts at the commas of the outer level.
fn split(tokens: &[Token], range: Range<usize>) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut i) = (Vec::new(), range.start, range.start);
    while i < range.end {
        if tokens[i].is("(") || tokens[i].is("[") {
            i = closing(tokens, i);
        } else if tokens[i].is(",") {
            parts.push(start..i);
            start = i + 1;
        }
        i += 1;
    }
    parts.push(start..range.end);
    parts
}

/// Arithmetic over numbers, lengths and limits that the caller chose; `math.min`, `math.floor` and
/// `tonumber(ARGV[..])` too.
fn is_bound(tokens: &[Token], locals: &Locals) -> bool {
    let mut i = 0;
    while i < tokens.len() {
        i += if tokens[i].is("#") {
            2
        } else if reads(tokens, i, &["tonumber", "(", "ARGV", "["]) {
            closing(tokens, i + 1) + 1 - i
        } else if reads(tokens, i, &["math", ".", "min"]) || reads(tokens, i, &["math", ".", "floor"]) {
            3
        } else if is_atom(&tokens[i], locals)
            || ["+", "-", "*", "/", "(", ")", ","].iter().any(|s| tokens[i].is(s))
        {
            1
        } else {
            return false;
        };
    }
    !tokens.is_empty()
}

fn is_atom(token: &Token, locals: &Locals) -> bool {
    token.kind == Kind::Number || (token.is_word() && locals.get(&token.text) == Some(&Holds::Bound))
}

/// `unpack(t, i, math.min(i + 999, #t))`. `#t` alone is a bound only where the header names the
/// largest count (`1 to 1000`) that the caller keeps to.
fn unpack(tokens: &[Token], at: usize, counted: bool) -> Option<String> {
    let bounds = arguments(tokens, at + 1);
    let last = bounds.get(2).map(|b| &tokens[b.clone()]);
    let whole = last.is_none_or(|b| b.len() == 2 && b[0].is("#") && !counted);
    whole.then(|| {
        let chunks = "unpack in chunks, unpack(t, i, math.min(i + 999, #t))";
        format!("{chunks}, or to #t with the largest count in the header: `1 to 1000`")
    })
}

/// A function that reaches itself, through others too.
fn recursion(tokens: &[Token], problems: &mut Problems) {
    let functions = functions(tokens);
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, body) in &functions {
        let names = body.clone().filter(|i| reads(tokens, i + 1, &["("])).map(|i| tokens[i].text.as_str());
        calls.entry(name).or_default().extend(names);
    }
    for (name, body) in &functions {
        let mut reached: BTreeSet<&str> = calls[name.as_str()].clone();
        for _ in 0..calls.len() {
            let next: Vec<&str> = reached.iter().filter_map(|n| calls.get(n)).flatten().copied().collect();
            reached.extend(next);
        }
        if reached.contains(name.as_str()) {
            problems.push((tokens[body.start].line, format!("{name} calls itself; recursion has no bound")));
        }
    }
}

/// The named functions and their bodies: `function f`, `local function f`, `f = function`.
fn functions(tokens: &[Token]) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(|i| tokens[*i].is("function")) {
        let after = tokens.get(at + 1).filter(|t| t.is_word());
        let before = || at.checked_sub(2).filter(|i| reads(tokens, i + 1, &["="])).map(|i| &tokens[i]);
        if let Some(name) = after.or_else(before) {
            let open = at + 1 + usize::from(after.is_some());
            found.push((name.text.clone(), closing(tokens, open)..block_end(tokens, at)));
        }
    }
    found
}

/// The index of the `end` of the block that opens at `at`.
fn block_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        if ["function", "if", "do", "repeat"].iter().any(|w| token.is(w)) {
            depth += 1;
        } else if token.is("end") || token.is("until") {
            depth -= 1;
            if depth == 0 {
                return i;
            }
        }
    }
    tokens.len()
}
