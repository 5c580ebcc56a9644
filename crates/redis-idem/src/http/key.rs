//! The key in the header: a structured-field item whose value is a string (RFC 8941, 3.3), or bare.

use http::HeaderMap;
use sfv::{Parser, StringRef};
use std::borrow::Cow;

/// The header's name.
pub(super) const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// What the headers say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    Malformed,
    Key(Vec<u8>),
}

/// The key in the headers. `"abc"` and `abc` are the same key: clients in use send both.
pub(super) fn sent(headers: &HeaderMap) -> Sent {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Sent::Nothing };
    if values.next().is_some() {
        return Sent::Malformed;
    }
    parsed(value.as_bytes()).map_or(Sent::Malformed, Sent::Key)
}

/// The key in a header's value.
pub(super) fn parsed(value: &[u8]) -> Option<Vec<u8>> {
    let text = value.trim_ascii();
    let key = if text.first() == Some(&b'"') { quoted(text) } else { bare(text) };
    key.filter(|key| (1..=LONGEST).contains(&key.len()))
}

/// Between quotes, with parameters that say nothing to this layer.
fn quoted(text: &[u8]) -> Option<Vec<u8>> {
    let key: Cow<StringRef> = Parser::new(text).parse_item().ok()?;
    Some(key.as_str().as_bytes().to_vec())
}

/// Without quotes: printable ASCII without spaces and what separates lists and parameters.
fn bare(text: &[u8]) -> Option<Vec<u8>> {
    let fits = text.iter().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(byte));
    fits.then(|| text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn parse(value: &[u8]) -> Sent {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(value).unwrap());
        sent(&headers)
    }

    #[test]
    fn a_key_may_be_quoted_or_bare() {
        for text in [&b"abc"[..], b"\"abc\"", b"  \"abc\"  "] {
            assert_eq!(parse(text), Sent::Key(b"abc".to_vec()));
        }
        assert_eq!(parse(br#""a\"\\b c""#), Sent::Key(br#"a"\b c"#.to_vec()));
        assert_eq!(parse(&[b'k'; 255]), Sent::Key(vec![b'k'; 255]));
    }

    #[test]
    fn parameters_of_a_quoted_key_are_ignored_and_must_be_well_formed() {
        for text in [&b"\"abc\";a=1"[..], b"\"abc\"; a;b=\"x;y\"", b"\"abc\";a=?1;a=2.5 "] {
            assert_eq!(parse(text), Sent::Key(b"abc".to_vec()), "{text:?}");
        }
        for text in [&b"\"abc\";"[..], b"\"abc\" ;a", b"\"abc\";A=1", b"\"abc\";a=", b"\"abc\", \"abc\""] {
            assert_eq!(parse(text), Sent::Malformed, "{text:?}");
        }
    }

    #[test]
    fn what_is_neither_is_malformed() {
        let bad = [
            &b""[..],
            b"\"",
            b"\"\"",
            b"\"a",
            b"a\"",
            b"\"a\"b\"",
            b"\"a\\\"",
            br#""\n""#,
            b"a b",
            b"a,b",
            b"a;b",
            b"\"a\tb\"",
            b"\xff",
            b"\"\xc3\xa9\"",
            &[b'k'; 256],
        ];
        for text in bad {
            assert_eq!(parse(text), Sent::Malformed, "{text:?}");
        }
    }

    #[test]
    fn two_headers_are_malformed_even_if_equal() {
        let mut headers = HeaderMap::new();
        assert_eq!(sent(&headers), Sent::Nothing);
        headers.append(HEADER, HeaderValue::from_static("a"));
        headers.append(HEADER, HeaderValue::from_static("a"));
        assert_eq!(sent(&headers), Sent::Malformed);
    }
}
