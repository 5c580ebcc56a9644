//! Each rule of the script checker with a text that keeps it and one that breaks it.

mod body;
mod header;
mod parts;

use redis_patterns_testkit::lua::{Finding, MAX_LINES, check_text, find_scripts};
use std::path::Path;

const GOOD: &str = "#!lua flags=allow-oom
-- release: free the lock if this token still holds it.
-- KEYS[1] lock   string \"token:fence\"; absent = free
-- ARGV[1] token  bytes
-- returns  1 freed | 0 not held by this token
-- replay   a second run answers 0 and writes nothing
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
";

fn check(text: &str) -> Vec<Finding> {
    check_text(Path::new("release.lua"), text)
}

/// A script with one key, one argument and this body, which may return anything.
fn with_body(body: &str) -> String {
    format!(
        "#!lua\n-- release: a body under test.\n-- KEYS[1..n] key  string\n-- ARGV[1..n] value  bytes\n\
         -- returns  whatever the body says\n-- replay   the same\n\
         local first, count = KEYS[1], #KEYS + #ARGV\nredis.call('SET', first, ARGV[1])\n{body}\n"
    )
}

/// The same, but the body is what comes before the first write.
fn before_write(body: &str) -> String {
    let text = with_body("");
    let (head, write) = text.split_once("redis.call").expect("the sample writes");
    format!("{head}{body}\nredis.call{write}")
}

#[track_caller]
fn keeps(text: &str) {
    let findings = check(text);
    assert!(findings.is_empty(), "{text}\n{findings:#?}");
}

/// Exactly this one finding, at this line.
#[track_caller]
fn breaks(text: &str, line: usize, says: &str) {
    let findings = check(text);
    assert!(
        findings.len() == 1 && findings[0].line == line && findings[0].text.contains(says),
        "{text}\n{findings:#?}"
    );
}

#[track_caller]
fn body_breaks(body: &str, says: &str) {
    breaks(&with_body(body), 9, says);
}

#[test]
fn the_sample_of_the_architecture_is_clean_and_findings_show_their_place() {
    keeps(GOOD);
    keeps(&with_body(""));
    let shown = check(&GOOD.replace("-- replay", "-- again")).remove(0).to_string();
    assert!(shown.starts_with("release.lua:2: the header lacks `-- replay"), "{shown}");
}

#[test]
fn a_script_is_short() {
    let filler = |lines: usize| GOOD.to_owned() + &"-- more\n".repeat(lines - GOOD.lines().count());
    keeps(&filler(MAX_LINES));
    breaks(&filler(MAX_LINES + 1), MAX_LINES + 1, "81 lines");
}

#[test]
fn scripts_are_found_wherever_they_are_below_the_scripts_folder() {
    let root = std::env::temp_dir().join(format!("find-scripts-{}", std::process::id()));
    for name in [
        "crates/b/src/scripts/z.lua",
        "crates/a/src/scripts/deep/x.lua",
        "crates/a/src/x.lua",
        "crates/a/src/scripts/x.txt",
    ] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("in a folder"))
            .expect("a folder below the temporary one");
        std::fs::write(path, GOOD).expect("a file below the temporary folder");
    }
    let found = find_scripts(&root).expect("the folder is there");
    assert_eq!(
        found,
        [root.join("crates/a/src/scripts/deep/x.lua"), root.join("crates/b/src/scripts/z.lua")]
    );
    std::fs::remove_dir_all(&root).expect("the folder is ours");
    let error = find_scripts(&root).expect_err("nothing is there").to_string();
    assert!(error.contains("crates"), "{error}");
}

#[test]
fn every_script_of_the_workspace_is_clean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scripts = find_scripts(&root).expect("the workspace has crates");
    let findings: Vec<String> = scripts
        .iter()
        .flat_map(|path| redis_patterns_testkit::lua::check(path).expect("a readable script"))
        .map(|finding| finding.to_string())
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
