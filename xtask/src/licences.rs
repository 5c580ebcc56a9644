//! The licence and the source of every crate in the tree. The same policy as deny.toml, so that it
//! holds also where cargo-deny is not installed.

use serde_json::Value;

use crate::failure::Failure;
use crate::workspace::{list, metadata, text};

/// The licences we take. deny.toml holds the same list; a test keeps the two alike.
const ALLOWED: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Unicode-3.0",
    "Zlib",
];

/// One line per crate that breaks the policy.
pub(crate) fn findings() -> Result<Vec<String>, Failure> {
    let metadata = metadata(&["--all-features"])?;
    Ok(list(&metadata["packages"]).filter_map(finding).collect())
}

fn finding(package: &Value) -> Option<String> {
    let who = format!("{} {}", text(&package["name"]), text(&package["version"]));
    // A path of our own has no source at all.
    let from_registry = package["source"].as_str().is_none_or(|source| source.starts_with("registry+"));
    if !from_registry {
        return Some(format!(
            "{who}: comes from {}; only the public crate registry is allowed",
            text(&package["source"])
        ));
    }
    let licence = text(&package["license"]);
    if licence.is_empty() {
        return Some(format!("{who}: names no licence"));
    }
    (!allowed(licence)).then(|| format!("{who}: licence {licence} is not on the list in deny.toml"))
}

/// Whether an SPDX expression can be satisfied with the allowed licences alone.
fn allowed(expression: &str) -> bool {
    // Older crates write `MIT/Apache-2.0` where they mean `OR`.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    // What is left over was not understood, and what is not understood is not allowed.
    any(&mut rest) && rest.is_empty()
}

fn any(words: &mut &[&str]) -> bool {
    let mut good = all(words);
    while skip(words, "OR") {
        good |= all(words);
    }
    good
}

fn all(words: &mut &[&str]) -> bool {
    let mut good = one(words);
    while skip(words, "AND") {
        good &= one(words);
    }
    good
}

fn one(words: &mut &[&str]) -> bool {
    if skip(words, "(") {
        let good = any(words);
        return skip(words, ")") && good;
    }
    let Some((licence, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    if let ["WITH", exception, rest @ ..] = *words {
        *words = rest;
        return ALLOWED.contains(&format!("{licence} WITH {exception}").as_str());
    }
    ALLOWED.contains(licence)
}

fn skip(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_are_weighed() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "MIT OR Apache-2.0 AND ISC",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND GPL-3.0",
            "Apache-2.0 WITH Other",
            "",
            "(MIT",
            "MIT ISC",
        ] {
            assert!(!allowed(bad), "{bad}");
        }
    }

    #[test]
    fn a_bad_licence_none_and_a_bad_source_are_found() {
        let of = |licence: Option<&str>, source: Option<&str>| {
            finding(&json!({ "name": "a", "version": "1.0.0", "license": licence, "source": source }))
        };
        assert_eq!(of(Some("MIT"), None), None);
        assert_eq!(of(Some("MIT"), Some("registry+somewhere")), None);
        assert_eq!(of(None, None).unwrap(), "a 1.0.0: names no licence");
        assert_eq!(
            of(Some("AGPL-3.0"), None).unwrap(),
            "a 1.0.0: licence AGPL-3.0 is not on the list in deny.toml"
        );
        assert!(of(Some("MIT"), Some("git+somewhere")).unwrap().contains("only the public crate registry"));
    }

    #[test]
    fn deny_toml_allows_the_same() {
        let deny = include_str!("../../deny.toml");
        let (_, after) = deny.split_once("\nallow = [\n").unwrap();
        let (list, _) = after.split_once("\n]").unwrap();
        let listed: Vec<&str> = list.lines().map(|line| line.trim().trim_matches(['"', ','])).collect();
        assert_eq!(listed, ALLOWED);
    }
}
