//! Just enough reading of Rust to check its text: code without comments and literals, the spans
//! of functions and of test modules. Not a parser; rustc has seen the code before we do.

/// The same text with every comment, string and character blanked out. Lines stay where they were.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_silent_part(&chars, at).unwrap_or(at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that starts at `at` ends, if one starts there.
fn end_of_silent_part(chars: &[char], at: usize) -> Option<usize> {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => Some(position(chars, at, '\n')),
        ('/', Some('*')) => Some(end_of_block_comment(chars, at)),
        ('"', _) => Some(end_of_string(chars, at + 1)),
        ('r', Some('"' | '#')) => end_of_raw_string(chars, at),
        ('\'', _) => end_of_char(chars, at),
        _ => None,
    }
}

fn position(chars: &[char], from: usize, wanted: char) -> usize {
    let found = chars[from..].iter().position(|c| *c == wanted);
    found.map_or(chars.len(), |offset| from + offset)
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_raw_string(chars: &[char], start: usize) -> Option<usize> {
    // `br"` and `cr"` begin one letter earlier; any other letter before makes it a name.
    let before = start.checked_sub(1).map(|before| chars[before]);
    if before.is_some_and(|c| is_word(c) && c != 'b' && c != 'c') {
        return None;
    }
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None; // a raw name such as r#type
    }
    let closes = |at: usize| {
        chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    let close = (open + 1..chars.len()).find(|at| closes(*at));
    Some(close.map_or(chars.len(), |close| close + 1 + hashes))
}

/// `'x'` and `'\n'` are characters, `'a` is a lifetime.
fn end_of_char(chars: &[char], start: usize) -> Option<usize> {
    if chars.get(start + 1) == Some(&'\\') {
        return Some(position(chars, start + 3, '\'').saturating_add(1).min(chars.len()));
    }
    (chars.get(start + 2) == Some(&'\'')).then_some(start + 3)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in `line` by itself, and not as a part of a longer name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let goes_on = word.ends_with(is_word) && after.is_some_and(is_word);
        !goes_on && !before.is_some_and(is_word)
    })
}

/// A function in blanked code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// Lines that hold code; blank lines and comments are free.
    pub(crate) code_lines: usize,
}

/// Every function with a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let starts = code.match_indices("fn ").map(|(at, _)| at);
    let own = starts.filter(|at| !code[..*at].chars().next_back().is_some_and(is_word));
    own.filter_map(|at| function_at(code, at)).collect()
}

fn function_at(code: &str, at: usize) -> Option<Function> {
    let name: String = code[at + 3..].trim_start().chars().take_while(|c| is_word(*c)).collect();
    let body = body_after(code, at)?;
    let whole = &code[at..body.end];
    Some(Function {
        name,
        line: line_of(code, at),
        code_lines: whole.lines().filter(|line| !line.trim().is_empty()).count(),
    })
}

/// The `{ ... }` of the item that starts at `at`; none if a `;` ends it first.
fn body_after(code: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let mut nested = 0_i32;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            ';' if nested == 0 => return None,
            '{' if nested == 0 => return Some(at + offset..closing_brace(code, at + offset)),
            _ => {}
        }
    }
    None
}

fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_i32;
    for (offset, c) in code[open..].char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The lines, counted from 1, of each `#[cfg(test)]` item.
pub(crate) fn test_parts(code: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    let marks = code.match_indices("#[cfg(test)]").map(|(at, mark)| at + mark.len());
    marks
        .filter_map(|at| body_after(code, at))
        .map(|body| line_of(code, body.start)..=line_of(code, body.end - 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text = "let a = \"fn { \\\" x\"; // fn y\n/* fn /* z */ {\n*/ let b = '{'; let c: &'a str = r#\"fn \"{\"#;";
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(!code.contains("fn") && !code.contains('{'), "{code}");
        assert!(code.contains("let b =") && code.contains("&'a str"), "{code}");
    }

    #[test]
    fn escaped_characters_and_byte_strings_end_where_they_end() {
        assert_eq!(code_only(r"f('\'', '\\', b'x', '\u{1F}', y)").replace(' ', ""), "f(,,b,,y)");
        assert_eq!(code_only("g(br#\"a\"b\"#, for_r, r#type)").replace(' ', ""), "g(b,for_r,r#type)");
    }

    #[test]
    fn a_function_is_as_long_as_its_code() {
        let code = code_only(
            "impl X {\n    pub async fn run(a: [u8; 2]) -> u8 {\n        // why\n\n        if a {\n            1\n        }\n    }\n    fn none();\n}\n",
        );
        assert_eq!(functions(&code), [Function { name: "run".into(), line: 2, code_lines: 5 }]);
    }

    #[test]
    fn a_function_pointer_is_no_function() {
        assert_eq!(functions("type T = fn (u8) -> u8;"), []);
    }

    #[test]
    fn words_are_whole_words() {
        assert!(has_word("use fred::x", "fred") && has_word("dbg!(x)", "dbg!"));
        assert!(!has_word("alfred::x", "fred") && !has_word("fredo", "fred"));
    }

    #[test]
    fn test_modules_are_found() {
        let code = "fn a() {\n}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        assert_eq!(test_parts(code), [4..=6]);
    }
}
