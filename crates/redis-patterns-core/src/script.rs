//! Lua scripts: from a real `.lua` file, with their contract at the head.

use crate::error::Error;
use crate::key::Key;
use sha1::{Digest, Sha1};
use std::sync::OnceLock;

/// A Lua script that runs on the server as one atomic step.
///
/// Made by [`script!`](crate::script!) from a file whose head documents KEYS, ARGV and replies:
///
/// ```lua
/// #!lua flags=allow-oom
/// -- release: free the lock if this token still holds it.
/// -- KEYS[1] lock   string "token:fence"; absent = free
/// -- ARGV[1] token  bytes
/// -- returns  1 freed | 0 not held by this token
/// -- replay   a second run answers 0 and writes nothing
/// ```
///
/// It is sent as `EVALSHA`; a server that does not know it answers `NOSCRIPT` before anything ran,
/// and the source follows as `EVAL` to the same node. `SCRIPT LOAD` is never used: in a cluster it
/// would have to reach every node, now and after each failover.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: &'static str,
    facts: OnceLock<Facts>,
}

#[derive(Debug)]
struct Facts {
    sha1_hex: String,
    keys: Count,
    args: Count,
}

impl Script {
    /// A script named for errors and traces, such as `lock/release`.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self { name, source, facts: OnceLock::new() }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The text of the file.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.source
    }

    pub(crate) fn sha1_hex(&self) -> &str {
        &self.facts().sha1_hex
    }

    /// Refuses a call that does not fit the head: another number of keys or arguments, or keys of
    /// different slots. Such a call is a bug here, and a half-run script on a moving slot there.
    pub(crate) fn check(&self, keys: &[&Key], args: usize, tags: Tags) -> Result<u16, Error> {
        let facts = self.facts();
        if !facts.keys.fits(keys.len()) || !facts.args.fits(args) {
            return Err(Error::input(
                self.name,
                "the numbers of keys and arguments differ from the script's head",
            ));
        }
        one_slot(self.name, if tags == Tags::Any { keys.get(..1).unwrap_or(keys) } else { keys })
    }

    fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts {
            sha1_hex: Sha1::digest(self.source).iter().map(|byte| format!("{byte:02x}")).collect(),
            keys: Count::declared(self.source, "-- KEYS["),
            args: Count::declared(self.source, "-- ARGV["),
        })
    }
}

/// Whether the keys of one script must share a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    One,
    /// A batch for a single server.
    Any,
}

/// The slot that all keys share.
pub(crate) fn one_slot(operation: &'static str, keys: &[&Key]) -> Result<u16, Error> {
    let Some((first, rest)) = keys.split_first() else {
        return Err(Error::input(operation, "at least one key is needed to find the node"));
    };
    if rest.iter().any(|key| key.slot() != first.slot()) {
        return Err(Error::input(operation, "all keys of one operation must share one tag"));
    }
    Ok(first.slot())
}

/// How many keys or arguments the head declares: `KEYS[3]` is three, `KEYS[2..n]` one or more.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    at_least: usize,
    open_ended: bool,
}

impl Count {
    fn declared(source: &str, mark: &str) -> Self {
        let mut count = Self { at_least: 0, open_ended: false };
        for line in source.lines() {
            let Some(index) = line.strip_prefix(mark).and_then(|rest| rest.split(']').next()) else {
                continue;
            };
            match index.split_once("..") {
                Some((first, _)) => {
                    count.open_ended = true;
                    // A list may be empty, so only what stands before it is certain.
                    count.at_least = count.at_least.max(first.parse().unwrap_or(1_usize).saturating_sub(1));
                }
                None => count.at_least = count.at_least.max(index.parse().unwrap_or(0)),
            }
        }
        count
    }

    fn fits(&self, given: usize) -> bool {
        if self.open_ended { given >= self.at_least } else { given == self.at_least }
    }
}

/// A [`Script`] from a `.lua` file beside the caller: `script!("lock/release", "scripts/release.lua")`.
///
/// What two scripts need stands once, in parts: `script!("a/b", "b.lua", parts: "c.lua", "d.lua")`
/// is the text of `b.lua`, then its parts, then `return main()`.
#[macro_export]
macro_rules! script {
    ($name:literal, $path:literal) => {
        $crate::Script::new($name, include_str!($path))
    };
    ($name:literal, $path:literal, parts: $($part:literal),+ $(,)?) => {
        $crate::Script::new($name, concat!(include_str!($path), $(include_str!($part),)+ "return main()\n"))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_how_many_keys_and_arguments_there_are() {
        let source = "#!lua\n-- KEYS[1] a\n-- KEYS[2] b\n-- ARGV[1] t\n-- ARGV[2..n] jobs\n";
        assert_eq!(Count::declared(source, "-- KEYS["), Count { at_least: 2, open_ended: false });
        let args = Count::declared(source, "-- ARGV[");
        assert!(args.fits(1) && args.fits(9) && !args.fits(0));
    }

    #[test]
    fn the_digest_is_what_the_server_computes() {
        // SCRIPT LOAD "return 1" answers this.
        assert_eq!(Script::new("t", "return 1").sha1_hex(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
