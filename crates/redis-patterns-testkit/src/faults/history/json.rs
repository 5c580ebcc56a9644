//! As much JSON as a history needs: one flat object of strings and whole numbers.

use std::collections::BTreeMap;
use std::str::Chars;

/// A field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn number(&self) -> Option<u64> {
        if let Self::Number(n) = self { Some(*n) } else { None }
    }
}

/// A string with its quotes.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads an object; `None` for anything else, also for what follows it.
pub(super) fn object(line: &str) -> Option<BTreeMap<String, Value>> {
    let mut fields = BTreeMap::new();
    let mut rest = line.trim().strip_prefix('{')?.strip_suffix('}')?.chars();
    loop {
        let (Value::Text(name), ':') = (value(&mut rest)?, rest.next()?) else {
            return None;
        };
        fields.insert(name, value(&mut rest)?);
        match rest.next() {
            Some(',') => {}
            None => return Some(fields),
            Some(_) => return None,
        }
    }
}

fn value(rest: &mut Chars<'_>) -> Option<Value> {
    if let Some(after) = rest.as_str().strip_prefix('"') {
        *rest = after.chars();
        return text(rest).map(Value::Text);
    }
    let text = rest.as_str();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    *rest = text[end..].chars();
    text[..end].parse().ok().map(Value::Number)
}

/// From behind the opening quote to behind the closing one.
fn text(rest: &mut Chars<'_>) -> Option<String> {
    let mut out = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(out),
            '\\' => out.push(escape(rest)?),
            c => out.push(c),
        }
    }
}

fn escape(rest: &mut Chars<'_>) -> Option<char> {
    match rest.next()? {
        'u' => {
            let hex = rest.as_str().get(..4)?;
            *rest = rest.as_str()[4..].chars();
            char::from_u32(u32::from_str_radix(hex, 16).ok()?)
        }
        c @ ('"' | '\\') => Some(c),
        _ => None,
    }
}
