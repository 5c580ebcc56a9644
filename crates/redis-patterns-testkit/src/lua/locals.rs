//! What a local holds, told from its declarations.
//!
//! By name and for the whole file: a name that is given two different contents counts as neither,
//! which is stricter than Lua's scopes and easier to read.

use super::parameters;
use super::tokens::{Kind, Token, closing, reads};
use std::collections::BTreeMap;

/// The contents the rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// `KEYS[..]`, an element of `KEYS` in a loop, or a parameter named so (see `parameters`).
    Key,
    /// `ARGV[..]`, or an element of `ARGV` in a loop.
    Argument,
    /// `tonumber(ARGV[..])`, a number written in the script, or `#name`: a bound.
    Bound,
    /// Anything else.
    Other,
}

pub(super) type Locals = BTreeMap<String, Holds>;

/// Every name the script assigns, with what it holds.
pub(super) fn find(tokens: &[Token]) -> Locals {
    let mut found = Locals::new();
    let mut braces = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.is("{") {
            braces += 1;
        } else if token.is("}") {
            braces = braces.saturating_sub(1);
        } else if token.is("local") && !reads(tokens, at + 1, &["function"]) {
            assign(tokens, at + 1, &mut found);
        } else if token.is("=") && braces == 0 {
            reassign(tokens, at, &mut found);
        } else if token.is("for") {
            loop_variables(tokens, at, &mut found);
        } else if token.is("function") {
            parameters(tokens, at, &mut found);
        }
    }
    found
}

fn note(found: &mut Locals, name: &str, holds: Holds) {
    let entry = found.entry(name.to_owned()).or_insert(holds);
    if *entry != holds {
        *entry = Holds::Other;
    }
}

/// `a, b = x, y` with the first name at `at`, declared or not.
fn assign(tokens: &[Token], at: usize, found: &mut Locals) {
    let (names, equals) = names(tokens, at);
    let mut value = reads(tokens, equals, &["="]).then_some(equals + 1);
    for name in names {
        note(found, &name, value.map_or(Holds::Other, |v| classify(tokens, v)));
        value = value.and_then(|v| next_value(tokens, v));
    }
}

/// The same, met at its `=`: a declaration or a loop was noted where it began, a field is no local.
fn reassign(tokens: &[Token], equals: usize, found: &mut Locals) {
    let Some(mut first) = equals.checked_sub(1).filter(|i| tokens[*i].is_word()) else {
        return;
    };
    while first >= 2 && tokens[first - 1].is(",") && tokens[first - 2].is_word() {
        first -= 2;
    }
    let noted = first > 0 && ["local", "for", "."].iter().any(|w| tokens[first - 1].is(w));
    if !noted {
        assign(tokens, first, found);
    }
}

/// `for i = ..` and `for _, x in ipairs(KEYS)`.
fn loop_variables(tokens: &[Token], at: usize, found: &mut Locals) {
    let (names, next) = names(tokens, at + 1);
    let over = |list| ["ipairs", "pairs"].iter().any(|f| reads(tokens, next, &["in", f, "(", list, ")"]));
    for (i, name) in names.iter().enumerate() {
        let holds = match i {
            1 if over("KEYS") => Holds::Key,
            1 if over("ARGV") => Holds::Argument,
            _ => Holds::Other,
        };
        note(found, name, holds);
    }
}

fn parameters(tokens: &[Token], at: usize, found: &mut Locals) {
    let open = at + 1 + usize::from(tokens.get(at + 1).is_some_and(Token::is_word));
    for name in tokens.iter().take(closing(tokens, open)).skip(open).filter(|t| t.is_word()) {
        note(found, &name.text, if parameters::is_key(&name.text) { Holds::Key } else { Holds::Other });
    }
}

/// A comma-separated list of names and the index after it.
fn names(tokens: &[Token], mut at: usize) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    while let Some(token) = tokens.get(at).filter(|t| t.is_word()) {
        names.push(token.text.clone());
        at += 1;
        if !reads(tokens, at, &[","]) {
            break;
        }
        at += 1;
    }
    (names, at)
}

fn classify(tokens: &[Token], at: usize) -> Holds {
    let Some(first) = tokens.get(at) else {
        return Holds::Other;
    };
    let (holds, last) = if reads(tokens, at, &["KEYS", "["]) {
        (Holds::Key, closing(tokens, at + 1))
    } else if reads(tokens, at, &["ARGV", "["]) {
        (Holds::Argument, closing(tokens, at + 1))
    } else if reads(tokens, at, &["tonumber", "(", "ARGV", "["]) {
        (Holds::Bound, closing(tokens, at + 1))
    } else if first.kind == Kind::Number {
        (Holds::Bound, at)
    } else if first.is("#") && tokens.get(at + 1).is_some_and(Token::is_word) {
        (Holds::Bound, at + 1)
    } else {
        return Holds::Other;
    };
    if goes_on(tokens.get(last + 1)) { Holds::Other } else { holds }
}

/// Whether an expression goes on with this token.
fn goes_on(token: Option<&Token>) -> bool {
    const OPERATORS: &str = ".. + - * / % ^ == ~= < > <= >= and or . : [ (";
    token.is_some_and(|t| OPERATORS.split(' ').any(|o| t.is(o)))
}

/// Where the next value of a list begins, if the statement has one.
fn next_value(tokens: &[Token], mut at: usize) -> Option<usize> {
    const ENDS: &str = "local if for while repeat return do end else elseif until then break = ;";
    loop {
        let token = tokens.get(at)?;
        if token.is(",") {
            return Some(at + 1);
        } else if ENDS.split(' ').any(|w| token.is(w)) {
            return None;
        }
        let opens = ["(", "[", "{"].iter().any(|b| token.is(b));
        at = if opens { closing(tokens, at) } else { at } + 1;
    }
}
