//! Read, decide, return early, then write.
//!
//! A script that writes and then finds a reason to stop has half happened. The rule, per block:
//! after a write come only writes, local assignments and blocks that hold no `return`; a `return`
//! ends the block that wrote. So a `return` (or an `error`) in a block that was entered after a
//! write is a finding, also when the write was the condition of that very block, and also in a loop
//! whose body writes, since an earlier turn may have written.

use super::Problems;
use super::calls::Call;
use super::tokens::Token;
use std::collections::BTreeSet;

/// Walks the blocks of a script.
pub(super) fn check(tokens: &[Token], calls: &[Call], problems: &mut Problems) {
    let writes = calls.iter().filter(|c| c.command.writes).map(|c| c.at).collect();
    let mut walk = Walk { tokens, at: 0, writes, writers: BTreeSet::new(), problems: Problems::new() };
    walk.block(false);
    if walk.at < tokens.len() {
        let line = tokens[walk.at].line;
        walk.problems.push((line, "the blocks do not match their `end`s".to_owned()));
    }
    problems.append(&mut walk.problems);
}

struct Walk<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Where the write calls stand.
    writes: BTreeSet<usize>,
    /// The functions that write.
    writers: BTreeSet<&'a str>,
    problems: Problems,
}

/// What a block did.
#[derive(Clone, Copy, Default)]
struct Did {
    write: bool,
    end: bool,
}

impl<'a> Walk<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    /// Walks to the word that ends this block and stays on it.
    fn block(&mut self, after_write: bool) -> Did {
        let mut did = Did { write: after_write, end: false };
        while let Some(token) = self.tokens.get(self.at) {
            if ["end", "else", "elseif", "until"].iter().any(|w| token.is(w)) {
                break;
            }
            self.at += 1;
            if token.is("return") {
                self.stop(after_write, token, "`return`");
                did.end = true;
            } else if token.is("error") || token.is("assert") {
                self.stop(did.write, token, "an error");
            }
            did.write |= self.inner(token, did.write);
        }
        did
    }

    /// What one token opens; answers whether it wrote.
    fn inner(&mut self, token: &'a Token, wrote: bool) -> bool {
        match token.text.as_str() {
            _ if !token.is_word() => false,
            "if" => self.branches(wrote),
            "function" => self.function(),
            "for" | "while" => {
                let header = self.until("do");
                self.turns(wrote || header)
            }
            "repeat" => self.turns(wrote),
            "do" => {
                let did = self.block(wrote);
                self.at += 1;
                did.write
            }
            _ => self.writes_at(self.at - 1),
        }
    }

    /// `if a then .. elseif b then .. else .. end`, from behind the `if`.
    fn branches(&mut self, mut wrote: bool) -> bool {
        let mut written = false;
        wrote |= self.until("then");
        loop {
            let did = self.block(wrote);
            // A branch that returned does not reach what follows.
            written |= did.write && !did.end;
            match self.next() {
                Some(t) if t.is("elseif") => wrote |= self.until("then"),
                Some(t) if t.is("else") => {}
                _ => return wrote || written,
            }
        }
    }

    /// The body of a loop; if it writes, it is walked again as one that was entered after a write.
    fn turns(&mut self, wrote: bool) -> bool {
        let (start, before) = (self.at, self.problems.len());
        let mut did = self.block(wrote);
        if did.write && !wrote {
            self.at = start;
            self.problems.truncate(before);
            did = self.block(true);
        }
        self.at += 1;
        did.write
    }

    /// A function starts afresh; its calls count as writes if it writes.
    fn function(&mut self) -> bool {
        let at = self.at;
        let before = at.checked_sub(3).filter(|i| self.tokens[i + 1].is("="));
        let name = self.tokens.get(at).filter(|t| t.is_word()).or_else(|| before.map(|i| &self.tokens[i]));
        let did = self.block(false);
        self.at += 1;
        if let (true, Some(name)) = (did.write, name) {
            self.writers.insert(&name.text);
        }
        false
    }

    /// Skips to `word` and past it; answers whether something on the way wrote.
    fn until(&mut self, word: &str) -> bool {
        let mut wrote = false;
        while let Some(token) = self.next() {
            if token.is(word) {
                break;
            }
            wrote |= self.writes_at(self.at - 1);
        }
        wrote
    }

    fn writes_at(&self, at: usize) -> bool {
        let called = self.tokens.get(at + 1).is_some_and(|t| t.is("("));
        self.writes.contains(&at) || (called && self.writers.contains(self.tokens[at].text.as_str()))
    }

    fn stop(&mut self, wrote: bool, token: &Token, what: &str) {
        if wrote {
            let text = format!("{what} after a write: read and decide first, return early, then write");
            self.problems.push((token.line, text));
        }
    }
}
