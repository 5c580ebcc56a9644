//! Scripts that are made of several files.

use redis_patterns_testkit::lua::{Finding, MAX_LINES, check};
use std::path::{Path, PathBuf};

const MAIN: &str = "#!lua
-- take: take what the kind says.
-- KEYS[1] state  string
-- ARGV[1] kind   which
-- parts    one
-- returns  1 taken
-- replay   takes again
local kinds = {}
local function main()
  return kinds[ARGV[1]].take(KEYS[1])
end
";
const ONE: &str = "-- part of take: one, the only kind.
kinds.one = {
  take = function(key)
    redis.call('INCR', key)
    return 1
  end,
}
";

/// A folder with these scripts; it goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("parts-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }

    fn check(&self, file: &str) -> Vec<(String, usize, String)> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let shown = |finding: Finding| (name(&finding.path), finding.line, finding.text);
        check(&self.0.join(file)).unwrap().into_iter().map(shown).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Exactly one finding, in this file and line.
#[track_caller]
fn finds(name: &str, main: &str, one: &str, checked: &str, file: &str, line: usize, says: &str) {
    let folder = Folder::with(name, &[("take.lua", main), ("one.lua", one)]);
    let found = folder.check(checked);
    let fits = |(f, l, text): &(String, usize, String)| f == file && *l == line && text.contains(says);
    assert!(found.len() == 1 && fits(&found[0]), "{found:#?}");
}

#[test]
fn a_script_with_its_part_is_checked_as_a_whole() {
    let folder = Folder::with("good", &[("take.lua", MAIN), ("one.lua", ONE)]);
    assert_eq!((folder.check("take.lua"), folder.check("one.lua")), (vec![], vec![]));
}

#[test]
fn a_finding_names_the_file_it_is_in() {
    let built = ONE.replace("'INCR', key)", "'INCR', key .. 'x')");
    finds("built", MAIN, &built, "take.lua", "one.lua", 4, "the key is built here");
    let main = MAIN.replace("take(KEYS[1])", "take(ARGV[1], KEYS[1])");
    finds("passed", &main, ONE, "take.lua", "take.lua", 10, "take: argument 1 is a key");
    let late = MAIN.replace(
        "  return kinds",
        "  kinds.one.take(KEYS[1])\n  if ARGV[1] then return 1 end\n  return kinds",
    );
    finds("late", &late, ONE, "take.lua", "take.lua", 11, "`return` after a write");
    let long = format!("{ONE}{}", "-- more\n".repeat(MAX_LINES));
    finds("long", MAIN, &long, "one.lua", "one.lua", MAX_LINES + 1, "lines");
}

#[test]
fn a_part_and_its_scripts_name_each_other() {
    let other = ONE.replace("part of take", "part of give, take");
    finds("other", MAIN, &other, "one.lua", "one.lua", 1, "the scripts that list it are: take");
    let stranger = ONE.replace(": one,", ": two,");
    finds("stranger", MAIN, &stranger, "one.lua", "one.lua", 1, "named as the file");
    let no_main = MAIN.replace("function main()", "function start()");
    finds("main", &no_main, ONE, "take.lua", "take.lua", 1, "local function main()");
    let missing = Folder::with("missing", &[("take.lua", MAIN)]);
    assert!(check(&missing.0.join("take.lua")).unwrap_err().to_string().contains("one.lua"));
}
