//! Who may know whom.

use std::path::Path;

use super::{File, Finding, has_extension};
use crate::source::has_word;
use crate::workspace::{Kind, Member};

/// The Redis client. What replaces it one day must touch one folder alone.
const CLIENT: &str = "fred";
const CLIENT_OWNER: &str = "redis-patterns-core";
const CLIENT_FOLDER: &str = "crates/redis-patterns-core/src/redis/";

/// The client's name in the code of any other folder. Comments may speak of it.
pub(super) fn check_source(file: &File) -> Vec<Finding> {
    let in_src = file.path.starts_with("crates") && file.path.iter().any(|part| part == "src");
    // The module's own file may stand beside its folder.
    let at_home = file.path.starts_with(CLIENT_FOLDER)
        || file.path == Path::new("crates/redis-patterns-core/src/redis.rs");
    if !in_src || at_home || !has_extension(&file.path, "rs") {
        return Vec::new();
    }
    let naming = (1..).zip(file.code.lines()).filter(|(_, code)| has_word(code, CLIENT));
    naming.map(|(line, _)| file.finding(line, format!("{CLIENT} is named outside {CLIENT_FOLDER}"))).collect()
}

/// The arrows between the crates.
pub(super) fn check_members(members: &[Member]) -> Vec<Finding> {
    let patterns: Vec<&str> =
        members.iter().filter(|member| member.is_pattern()).map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members {
        for need in &member.dependencies {
            if member.is_pattern() && patterns.contains(&need.name.as_str()) {
                findings.push(finding(
                    member,
                    format!("a pattern needs another, {}: what they share belongs in core", need.name),
                ));
            }
            if need.name == CLIENT && need.kind != Kind::Dev && member.name != CLIENT_OWNER {
                findings.push(finding(member, format!("needs {CLIENT}; only {CLIENT_OWNER} may")));
            }
        }
    }
    findings
}

fn finding(member: &Member, text: String) -> Finding {
    Finding { path: Path::new("crates").join(member.folder_name()).join("Cargo.toml"), line: 0, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, kind: Kind, need: &str) -> Member {
        let dependencies = vec![Dependency { name: need.into(), kind }];
        Member {
            name: name.into(),
            folder: Path::new("crates").join(name),
            dependencies,
            ..Member::default()
        }
    }

    fn texts(members: &[Member]) -> Vec<String> {
        check_members(members).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_client_is_named_in_one_folder() {
        let lines = |path: &str, text: &str| check_source(&File::new(path, text)).len();
        assert_eq!(lines("crates/redis-lock/src/lib.rs", "use fred::clients::Pool;\n"), 1);
        assert_eq!(lines("crates/redis-lock/src/lib.rs", "//! as fred::Pool\nuse alfred::x;\n"), 0);
        assert_eq!(lines("crates/redis-patterns-core/src/redis/run.rs", "use fred::x;\n"), 0);
        assert_eq!(lines("crates/redis-patterns-core/src/script.rs", "use fred::x;\n"), 1);
        assert_eq!(lines("crates/redis-lock/benches/a.rs", "use fred::x;\n"), 0);
    }

    #[test]
    fn a_pattern_that_needs_a_pattern_is_found_even_in_its_tests() {
        let members = [
            member("redis-lock", Kind::Normal, "redis-patterns-core"),
            member("redis-queue", Kind::Dev, "redis-lock"),
        ];
        assert_eq!(
            texts(&members),
            [
                "crates/redis-queue/Cargo.toml: a pattern needs another, redis-lock: what they share belongs in core"
            ]
        );
    }

    #[test]
    fn a_second_owner_of_the_client_is_found() {
        let members = [
            member("redis-patterns-core", Kind::Normal, "fred"),
            member("redis-lock", Kind::Normal, "fred"),
            member("redis-queue", Kind::Dev, "fred"),
        ];
        assert_eq!(
            texts(&members),
            ["crates/redis-lock/Cargo.toml: needs fred; only redis-patterns-core may"]
        );
    }
}
