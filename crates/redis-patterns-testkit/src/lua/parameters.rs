//! Keys that are handed to a function: a parameter named `key`, or ending in `_key`, is one.
//!
//! That is a promise of the definition, so every call is held to it: by the function's name, as a
//! field too (`kind.give(key)`), and by another name it was given (`give = give_to_bucket`).

use super::Problems;
use super::locals::{Holds, Locals};
use super::tokens::{Token, arguments, closing, reads};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a parameter of this name is a key.
pub(super) fn is_key(name: &str) -> bool {
    name == "key" || name.ends_with("_key")
}

/// Every call of a function with such parameters passes keys there.
pub(super) fn check(tokens: &[Token], locals: &Locals, problems: &mut Problems) {
    let functions = functions(tokens);
    for at in 0..tokens.len() {
        let defined = at > 0 && tokens[at - 1].is("function");
        let Some(places) = functions.get(tokens[at].text.as_str()) else { continue };
        if defined || !tokens[at].is_word() || !reads(tokens, at + 1, &["("]) {
            continue;
        }
        let passed = arguments(tokens, at + 1);
        for place in places {
            let argument = passed.get(*place).map_or(&[][..], |range| &tokens[range.clone()]);
            if !holds_key(argument, locals) {
                let text = format!(
                    "{}: argument {} is a key: pass KEYS[..] or a local that holds one",
                    tokens[at].text,
                    place + 1
                );
                problems.push((tokens[at].line, text));
            }
        }
    }
}

fn holds_key(argument: &[Token], locals: &Locals) -> bool {
    match argument {
        [name] => locals.get(&name.text) == Some(&Holds::Key),
        _ => reads(argument, 0, &["KEYS", "["]) && closing(argument, 1) == argument.len() - 1,
    }
}

/// The functions that take keys, by every name they have, and at which places.
fn functions(tokens: &[Token]) -> BTreeMap<&str, BTreeSet<usize>> {
    let mut found: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for at in (0..tokens.len()).filter(|i| tokens[*i].is("function")) {
        let named = tokens.get(at + 1).filter(|t| t.is_word());
        let open = at + 1 + usize::from(named.is_some());
        let given = at.checked_sub(2).filter(|i| reads(tokens, i + 1, &["="])).map(|i| &tokens[i]);
        let places = arguments(tokens, open).into_iter().enumerate();
        let keys: BTreeSet<usize> =
            places.filter(|(_, p)| is_key(&tokens[p.start].text)).map(|(i, _)| i).collect();
        if let Some(name) = named.or(given).filter(|_| !keys.is_empty()) {
            found.entry(&name.text).or_default().extend(keys);
        }
    }
    for at in 0..tokens.len().saturating_sub(2) {
        let renamed = tokens[at].is_word() && tokens[at + 1].is("=");
        if let Some(keys) = found.get(tokens[at + 2].text.as_str()).filter(|_| renamed).cloned() {
            found.entry(&tokens[at].text).or_default().extend(keys);
        }
    }
    found
}
