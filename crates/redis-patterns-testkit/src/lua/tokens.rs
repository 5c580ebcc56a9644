//! Lua 5.1 text to tokens, without comments. Enough for the rules; whether it parses is the
//! server's to say.

use std::ops::Range;

/// What a token is. Keywords are words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Symbol,
}

/// One token; the text of a string literal is what stands between its quotes.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Token {
    /// Whether this is the word or symbol `text` (never a string literal that says so).
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }

    /// Whether this is a name, keywords included.
    pub(super) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// Whether the tokens from `at` on read exactly `words`.
pub(super) fn reads(tokens: &[Token], at: usize, words: &[&str]) -> bool {
    tokens.get(at..at + words.len()).is_some_and(|t| t.iter().zip(words).all(|(t, w)| t.is(w)))
}

/// The index of the bracket that closes the one at `open`, or the end of the text.
pub(super) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        if ["(", "[", "{"].iter().any(|s| token.is(s)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|s| token.is(s)) {
            depth -= 1;
            if depth == 0 {
                return i;
            }
        }
    }
    tokens.len()
}

/// The arguments between the brackets that open at `open`, cut at the commas of the outer level.
pub(super) fn arguments(tokens: &[Token], open: usize) -> Vec<Range<usize>> {
    let end = closing(tokens, open);
    let (mut args, mut start, mut i) = (Vec::new(), open + 1, open + 1);
    while i < end {
        if ["(", "[", "{"].iter().any(|s| tokens[i].is(s)) {
            i = closing(tokens, i);
        } else if tokens[i].is(",") {
            args.push(start..i);
            start = i + 1;
        }
        i += 1;
    }
    if start < end {
        args.push(start..end);
    }
    args
}

/// Reads a whole script. A first line that starts with `#` is not Lua and is left out.
pub(super) fn read(text: &str) -> Vec<Token> {
    let mut reader = Reader { rest: text, line: 1, tokens: Vec::new() };
    if text.starts_with('#') {
        reader.skip(text.find('\n').unwrap_or(text.len()));
    }
    while let Some(c) = reader.rest.chars().next() {
        reader.step(c);
    }
    reader.tokens
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn step(&mut self, c: char) {
        if c.is_whitespace() {
            self.skip(c.len_utf8());
        } else if self.rest.starts_with("--") {
            let long = long_bracket(&self.rest[2..]).map(|(_, len)| len + 2);
            self.skip(long.unwrap_or_else(|| self.rest.find('\n').unwrap_or(self.rest.len())));
        } else if c == '"' || c == '\'' {
            self.quoted(c);
        } else if let Some((body, len)) = long_bracket(self.rest) {
            let text = body.to_owned();
            self.push(Kind::Text, text, len);
        } else if c.is_ascii_alphabetic() || c == '_' {
            self.push_while(Kind::Word, |c| c.is_ascii_alphanumeric() || c == '_');
        } else if c.is_ascii_digit() {
            self.push_number();
        } else {
            let symbols = ["...", "..", "==", "~=", "<=", ">="];
            let len = symbols.iter().find(|s| self.rest.starts_with(**s)).map_or(c.len_utf8(), |s| s.len());
            self.push(Kind::Symbol, self.rest[..len].to_owned(), len);
        }
    }

    fn quoted(&mut self, quote: char) {
        let mut escaped = false;
        let end = self.rest[1..].char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let end = end.map_or(self.rest.len() - 1, |(i, _)| i);
        let len = (end + 2).min(self.rest.len());
        self.push(Kind::Text, self.rest[1..=end].to_owned(), len);
    }

    fn push_while(&mut self, kind: Kind, belongs: impl Fn(char) -> bool) {
        let len = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.push(kind, self.rest[..len].to_owned(), len);
    }

    /// Digits, hexadecimal and exponents; `1..2` is a number, a concatenation and a number.
    fn push_number(&mut self) {
        let len =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(self.rest.len());
        let len = self.rest[..len].find("..").unwrap_or(len);
        self.push(Kind::Number, self.rest[..len].to_owned(), len);
    }

    fn push(&mut self, kind: Kind, text: String, len: usize) {
        self.tokens.push(Token { line: self.line, kind, text });
        self.skip(len);
    }

    fn skip(&mut self, len: usize) {
        self.line += self.rest[..len].matches('\n').count();
        self.rest = &self.rest[len..];
    }
}

/// The body and the whole length of `[[..]]` or `[=[..]=]` at the start of `text`.
fn long_bracket(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    let body = inner[level..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    let end = body.find(&close).unwrap_or(body.len());
    let len = (level + 2 + end + close.len()).min(text.len());
    Some((&body[..end], len))
}
