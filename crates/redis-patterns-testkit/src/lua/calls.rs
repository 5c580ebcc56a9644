//! Every `redis.call` and `redis.pcall`: its command is known, its keys are declared, its writes
//! are allowed.

use super::Problems;
use super::commands::{Command, Keys, is_forbidden, known};
use super::header::Header;
use super::locals::{self, Holds, Locals};
use super::parameters;
use super::tokens::{Kind, Token, arguments, closing, reads};
use std::ops::Range;

/// One call with a command this module knows.
#[derive(Debug)]
pub(super) struct Call {
    /// The index of the token `redis`.
    pub(super) at: usize,
    pub(super) line: usize,
    name: String,
    pub(super) command: Command,
    /// The arguments after the command's name.
    arguments: Vec<Range<usize>>,
}

/// The calls of a script; one that cannot be judged is a problem.
pub(super) fn find(tokens: &[Token], problems: &mut Problems) -> Vec<Call> {
    let mut calls = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, t)| t.is("redis")) {
        if reads(tokens, at + 1, &["["]) {
            problems.push((token.line, "write redis.call, not redis[..]".to_owned()));
        }
        if !reads(tokens, at + 1, &[".", "call"]) && !reads(tokens, at + 1, &[".", "pcall"]) {
            continue;
        }
        if !reads(tokens, at + 3, &["("]) {
            problems
                .push((token.line, "call redis.call(..) by its name; an alias hides its keys".to_owned()));
            continue;
        }
        match call(tokens, at) {
            Ok(call) => calls.push(call),
            Err(text) => problems.push((token.line, text)),
        }
    }
    calls
}

fn call(tokens: &[Token], at: usize) -> Result<Call, String> {
    let mut arguments = arguments(tokens, at + 3).into_iter();
    let name =
        arguments.next().filter(|a| a.len() == 1).map(|a| &tokens[a.start]).filter(|t| t.kind == Kind::Text);
    let name =
        name.ok_or("the command is a string literal, so that its keys can be checked")?.text.to_uppercase();
    if is_forbidden(&name) {
        return Err(format!("{name} has no place in a script: it scans, empties or reconfigures the server"));
    }
    let command = known(&name);
    let command =
        command.ok_or_else(|| format!("unknown command {name}; add it to the checker's commands.rs"))?;
    Ok(Call { at, line: tokens[at].line, name, command, arguments: arguments.collect() })
}

/// Every key argument is `KEYS[..]` or a local that holds one.
pub(super) fn check_keys(tokens: &[Token], calls: &[Call], problems: &mut Problems) {
    let locals = locals::find(tokens);
    parameters::check(tokens, &locals, problems);
    for call in calls {
        let Some(keys) = key_arguments(tokens, call) else {
            problems.push((
                call.line,
                format!("{}: write the number of keys and STREAMS as literals", call.name),
            ));
            continue;
        };
        if keys.is_empty() && call.command.keys != Keys::None {
            problems.push((call.line, format!("{} without a key", call.name)));
        }
        for key in keys {
            if let Err(text) = check_key(&tokens[key], call, &locals) {
                problems.push((call.line, text));
            }
        }
    }
}

fn check_key(key: &[Token], call: &Call, locals: &Locals) -> Result<(), String> {
    let name = &call.name;
    let whole = |from: usize| closing(key, from) == key.len() - 1;
    let channel = call.command.keys == Keys::Channel;
    let held = if key.len() == 1 { locals.get(&key[0].text).copied() } else { None };
    let in_keys = reads(key, 0, &["KEYS", "["]) && whole(1);
    let in_arguments = reads(key, 0, &["ARGV", "["]) && whole(1);
    let unpacked = reads(key, 0, &["unpack", "(", "KEYS", ","]) && whole(1);
    if key.iter().any(|t| t.is("..")) {
        return Err(format!("{name}: the key is built here; pass it whole as KEYS[..]"));
    }
    match held {
        Some(Holds::Key) => Ok(()),
        Some(Holds::Argument) if channel => Ok(()),
        _ if in_keys || unpacked || (channel && in_arguments) => Ok(()),
        _ => Err(format!(
            "{name}: the key is KEYS[..], a local assigned from it, or the variable of a loop over KEYS"
        )),
    }
}

/// The arguments that are keys, or `None` if their number cannot be told.
fn key_arguments(tokens: &[Token], call: &Call) -> Option<Vec<Range<usize>>> {
    let args = &call.arguments;
    let text = |i: usize| args.get(i).map(|a| tokens[a.start].text.as_str()).unwrap_or_default();
    let take = |from: usize, n: usize| args.iter().skip(from).take(n).cloned().collect();
    Some(match call.command.keys {
        Keys::None => Vec::new(),
        Keys::First | Keys::Channel => take(0, 1),
        Keys::FirstTwo => take(0, 2),
        Keys::All => take(0, args.len()),
        Keys::Pairs => args.iter().step_by(2).cloned().collect(),
        Keys::Second => take(1, 1),
        Keys::AfterFirst => take(1, args.len()),
        Keys::Counted(at) => {
            let mut keys: Vec<_> = take(0, at);
            keys.extend(args.iter().skip(at + 1).take(text(at).parse().ok()?).cloned());
            keys
        }
        Keys::Streams => {
            let streams = (0..args.len()).find(|i| text(*i).eq_ignore_ascii_case("STREAMS"))? + 1;
            take(streams, (args.len() - streams) / 2)
        }
    })
}

/// `no-writes` holds, and a script that only reads says so: without it the server refuses it when
/// memory is full.
pub(super) fn check_flags(header: &Header, calls: &[Call], problems: &mut Problems) {
    let no_writes = header.flags.iter().any(|f| f == "no-writes");
    let write = calls.iter().find(|c| c.command.writes);
    match write {
        Some(call) if no_writes => {
            problems.push((call.line, format!("{} in a script flagged no-writes", call.name)));
        }
        None if !no_writes => {
            problems.push((
                1,
                "no write command: flag it `#!lua flags=no-writes`, so it runs when memory is full"
                    .to_owned(),
            ));
        }
        _ => {}
    }
}
