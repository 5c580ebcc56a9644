//! Words that must not stay in the code.

use super::{File, Finding, has_extension};
use crate::source::{has_word, test_parts};

/// Word and reason, in every Rust file.
const NOWHERE: [(&str, &str); 4] = [
    ("todo!", "finish it or open an issue"),
    ("unimplemented!", "finish it or open an issue"),
    ("dbg!", "remove it"),
    ("#[ignore", "a test runs, or says at run time why it is skipped"),
];

/// The one place where a test may wait: it asks again and again until a deadline.
const POLLING_HELPER: &str = "crates/redis-patterns-testkit/src/";

/// What a sleep in a test must be explained with.
const REASON: &str = "// sleep:";

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !has_extension(&file.path, "rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, code) in (1..).zip(file.code.lines()) {
        let unwanted = NOWHERE.iter().filter(|(word, _)| has_word(code, word));
        findings.extend(unwanted.map(|(word, reason)| file.finding(line, format!("{word}: {reason}"))));
    }
    findings.extend(sleeps(file));
    findings
}

fn sleeps(file: &File) -> Vec<Finding> {
    if file.path.starts_with(POLLING_HELPER) {
        return Vec::new();
    }
    let whole_file = file.path.iter().any(|part| part == "tests");
    let parts = test_parts(&file.code);
    let in_test = |line: &usize| whole_file || parts.iter().any(|part| part.contains(line));
    let sleeping = (1..).zip(file.code.lines()).filter(|(_, code)| has_word(code, "sleep("));
    let lines = sleeping.map(|(line, _)| line).filter(in_test).filter(|line| !has_reason(file, *line));
    let text = format!("sleep( in a test: poll with the test kit, or say why above it: `{REASON} ...`");
    lines.map(|line| file.finding(line, text.clone())).collect()
}

/// Some tests are about time that passes; they say so on the line or on the one before.
fn has_reason(file: &File, line: usize) -> bool {
    let near = file.text.lines().take(line).skip(line.saturating_sub(2));
    near.into_iter().any(|text| text.contains(REASON))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&File::new(path, text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn unfinished_work_is_found() {
        let text = "fn a() { todo!() }\nfn b() { dbg!(1); }\n#[ignore]\n#[ignore = \"slow\"]\nfn c() { unimplemented!() }\n";
        assert_eq!(lines("src/a.rs", text), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn talking_about_it_is_free() {
        assert_eq!(lines("src/a.rs", "// todo!\nlet s = \"dbg!\";\nlet my_todo = 1;\n"), [0; 0]);
    }

    #[test]
    fn a_sleep_in_a_test_is_found() {
        assert_eq!(lines("crates/a/tests/b.rs", "\ntokio::time::sleep(x).await;\n"), [2]);
        assert_eq!(lines("crates/a/src/b.rs", "sleep(x);\n#[cfg(test)]\nmod tests {\n  sleep(x);\n}\n"), [4]);
    }

    #[test]
    fn a_sleep_with_a_reason_is_free_and_the_next_is_not() {
        let text = "// sleep: the lease has to end\nsleep(x);\nsleep(x);\nsleep(y); // sleep: the work\n";
        assert_eq!(lines("crates/a/tests/b.rs", text), [3]);
    }

    #[test]
    fn the_polling_helper_may_sleep() {
        assert_eq!(
            lines("crates/redis-patterns-testkit/src/harness/poll.rs", "#[cfg(test)]\nmod t {\nsleep(x);\n}"),
            [0; 0]
        );
    }
}
