//! The key in the header: a structured-field string (RFC 8941, 3.3.3), or bare.

use http::HeaderMap;

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
    let text = value.as_bytes().trim_ascii();
    let key = if text.first() == Some(&b'"') { quoted(text) } else { bare(text) };
    match key {
        Some(key) if (1..=LONGEST).contains(&key.len()) => Sent::Key(key),
        _ => Sent::Malformed,
    }
}

/// Between quotes: printable ASCII, with `\"` and `\\` as the only escapes.
fn quoted(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut key = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => key.push(*bytes.next().filter(|next| matches!(next, b'"' | b'\\'))?),
            b'"' => return None,
            b' '..=b'~' => key.push(byte),
            _ => return None,
        }
    }
    Some(key)
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
