//! Names in the tags of keys.

/// The name in a tag: `%XX` undone. A name that was too long is hashed and cannot be read.
pub(crate) fn name_of(tag: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = (!tag.starts_with('~')).then_some(tag)?;
    while let Some((plain, encoded)) = rest.split_once('%') {
        bytes.extend(plain.bytes());
        bytes.push(u8::from_str_radix(encoded.get(..2)?, 16).ok()?);
        rest = &encoded[2..];
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_named_as_its_owner_named_it() {
        assert_eq!(name_of("mails").as_deref(), Some("mails"));
        assert_eq!(name_of("a%20b%2F").as_deref(), Some("a b/"));
        assert_eq!(name_of("~0f"), None);
        assert_eq!(name_of("%F"), None);
        assert_eq!(name_of("%\u{e9}"), None);
    }
}
