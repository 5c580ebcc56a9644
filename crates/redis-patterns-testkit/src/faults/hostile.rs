//! Ids, keys and values that break naive key names, parsers and scripts.
//!
//! Every one must go in as an id, come back with equal bytes, touch no other id's state, and choose
//! no slot.

/// The whole corpus, all distinct, up to 1 MiB.
#[must_use]
pub fn ids() -> Vec<Vec<u8>> {
    let mut ids = small_ids();
    ids.extend([4_097, 65_535, 65_536, 65_537, 1 << 20].map(long));
    // Longest first in two ways: a cut, and a hash of the first bytes only, would make them equal.
    let mut twin = long(65_536);
    twin[65_535] = b'!';
    ids.push(twin);
    ids
}

/// The corpus without those over 4 KiB.
#[must_use]
pub fn small_ids() -> Vec<Vec<u8>> {
    let texts = [TAGS, SEPARATORS, NUMBERS, SCRIPTS, PROTOCOL, PATTERNS, SUFFIXES, UNICODE].concat();
    let mut ids: Vec<Vec<u8>> = texts.into_iter().map(|text| text.as_bytes().to_vec()).collect();
    ids.extend(BYTES.iter().map(|bytes| bytes.to_vec()));
    ids.extend([2, 63, 64, 65, 255, 256, 257, 1_023, 1_024, 4_096].map(long));
    // Every byte alone: which of them is special is the point of the test.
    ids.extend((0..=u8::MAX).map(|byte| vec![byte]));
    ids.push((0..=u8::MAX).collect());
    ids.sort();
    ids.dedup();
    ids
}

fn long(len: usize) -> Vec<u8> {
    (0..len).map(|i| b"0123456789abcdefghijklmnopqrstuv"[i % 32]).collect()
}

/// The braces of a hash tag.
const TAGS: &[&str] = &[
    "", "}", "{", "{}", "{}x", "x{}", "a}b", "a{b", "{a}", "{a}{b}", "{{a}}", "}{", "{a", "a}", "{}{a}",
    "{user}:1", "{a}b}c",
];

/// Separators, their encodings, and pairs that are equal when something is not encoded.
const SEPARATORS: &[&str] = &[
    ":", "::", "a", "a:", ":a", "a:b", "a::b", "a:b:", "%", "%%", "%7B", "%7b", "%7D", "%3A", "a%3Ab", "%25",
    "%257B", "%00", "%zz", " ", " a", "a ", "a b", ",", "a,b", "|", "a|b", "/", "a/b", "../a", ".", "..",
    "-", "_", "=", "&", "#", "?a=b", "+",
];

/// Ids that a conversion to a number and back would change.
const NUMBERS: &[&str] = &[
    "0",
    "7",
    "007",
    "1e3",
    "1000",
    "-0",
    "-1",
    "+1",
    "1.0",
    "0x10",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "1_000",
    "१२३",
];

/// Text that Lua, a shell, SQL or a formatter would read.
const SCRIPTS: &[&str] = &[
    "nil",
    "false",
    "true",
    "null",
    "KEYS[1]",
    "ARGV[1]",
    "return 1",
    "' .. KEYS[1] .. '",
    "]]",
    "--[[",
    "\\",
    "\\0",
    "\\n",
    "\"",
    "'",
    "redis.call('FLUSHALL')",
    "\"; return redis.call('FLUSHALL') --",
    "%s",
    "%d%n",
    "{0}",
    "{}{:?}",
    "${HOME}",
    "$(id)",
    "`id`",
    "'; DROP TABLE x; --",
];

/// Text that looks like the protocol, a refusal, or a redirect.
const PROTOCOL: &[&str] = &[
    "OK",
    "+OK",
    "+OK\r\n",
    "-ERR",
    "-ERR no\r\n",
    ":1\r\n",
    "$-1\r\n",
    "$3\r\nabc\r\n",
    "*1\r\n$4\r\nPING\r\n",
    "*0\r\n",
    "_\r\n",
    ">1\r\n",
    "MOVED 0 127.0.0.1:1",
    "ASK 0 127.0.0.1:1",
    "NOSCRIPT",
    "\r",
    "\n",
    "\r\n",
    "a\r\nb",
    "PING\r\n",
];

/// Patterns of KEYS, SCAN and PSUBSCRIBE.
const PATTERNS: &[&str] =
    &["*", "**", "a*", "*a", "?", "a?", "[a-z]", "[^a]", "[", "]", "\\*", "\\?", "\\[a-z]"];

/// Names that our own keys use behind an id.
const SUFFIXES: &[&str] = &[
    "ready",
    "x:ready",
    "x:leased",
    "x:scheduled",
    "x:dead",
    "x:done",
    "x:job",
    "x:lock",
    "x:fence",
    "x:set",
    "x:user",
    "x:index",
    "x:seq",
    "x:meta",
    "rp",
    "rp:lock:{x}",
    "lock:{x}:fence",
    "queue:{x}:ready",
    "session:{x}",
    "idem:{x}",
    "ratelimit:{x}",
    "{x}:ready",
];

/// Letters that look alike, combine, turn the direction, or take four bytes.
const UNICODE: &[&str] = &[
    "é",
    "e\u{301}",
    "ß",
    "ẞ",
    "ı",
    "İ",
    "K",
    "\u{212a}",
    "ﬁ",
    "fi",
    "a\u{200b}",
    "\u{feff}a",
    "\u{202e}abc",
    "\u{2066}a\u{2069}",
    "שלום",
    "مرحبا",
    "日本語",
    "👩\u{200d}👩\u{200d}👧",
    "🇩🇪",
    "Z\u{351}\u{327}\u{36f}",
    "\u{ffff}",
    "\u{10ffff}",
    "A",
    "\u{391}",
    "\u{410}",
];

/// Bytes that are no UTF-8, or that end a C string.
const BYTES: &[&[u8]] = &[
    b"\0",
    b"\0\0",
    b"a\0",
    b"\0a",
    b"a\0b",
    b"\xff\xfe",
    b"\xff",
    b"\xc3\x28",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\x80",
    b"\xe2\x82",
    b"\xef\xbb\xbfa",
    b"\x1b[31m",
    b"\x7f",
    b"\x04",
    b"{\xff}",
    b"a\xff:b",
];
