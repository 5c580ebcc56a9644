//! How long Rust may be before it has to be split. Scripts have their budget in the test kit's check.

use super::{File, Finding, has_extension};
use crate::source::functions;

const RUST_FILE: usize = 400;
const FUNCTION: usize = 70;

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !has_extension(&file.path, "rs") {
        return Vec::new();
    }
    let lines = file.text.lines().count();
    let text = format!("{lines} lines, at most {RUST_FILE}: split it by idea");
    let too_long = (lines > RUST_FILE).then(|| file.finding(0, text));
    too_long.into_iter().chain(long_functions(file)).collect()
}

fn long_functions(file: &File) -> impl Iterator<Item = Finding> {
    let long = functions(&file.code).into_iter().filter(|function| function.code_lines > FUNCTION);
    long.map(|function| {
        let text =
            format!("fn {} has {} lines of code, at most {FUNCTION}", function.name, function.code_lines);
        file.finding(function.line, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(texts("a.rs", &"//\n".repeat(400)), [""; 0]);
        assert_eq!(texts("a.rs", &"//\n".repeat(401)), ["a.rs: 401 lines, at most 400: split it by idea"]);
    }

    #[test]
    fn a_long_function_is_found_and_its_comments_are_free() {
        let of = |lines: usize| {
            format!("\nfn f() {{\n{}{}}}\n", "    // why\n".repeat(50), "    x();\n".repeat(lines))
        };
        assert_eq!(texts("a.rs", &of(68)), [""; 0]);
        assert_eq!(texts("a.rs", &of(69)), ["a.rs:2: fn f has 71 lines of code, at most 70"]);
    }
}
