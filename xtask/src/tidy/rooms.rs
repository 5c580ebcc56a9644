//! The same rooms under the same names: who knows one pattern crate knows all five.

use std::path::Path;

use super::Finding;
use crate::workspace::{Member, Workspace};

const LIB_LINES: usize = 80;

/// Each room, by any of its names.
const ROOMS: [&[&str]; 5] = [
    &["src/lib.rs"],
    &["src/options.rs", "src/options/mod.rs"],
    &["src/keys.rs"],
    // A pattern whose commands are atomic by themselves needs no script.
    &["src/scripts.rs", "src/scripts/mod.rs", "src/commands.rs"],
    &["src/error.rs"],
];

const PAPERS: [&str; 2] = ["README.md", "CHANGELOG.md"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let of_one = |member: &Member| check_member(workspace.short(&member.folder), &member.folder, member);
    workspace.members.iter().flat_map(of_one).collect()
}

/// `short` is the folder as the reader sees it, `folder` where it is.
fn check_member(short: &Path, folder: &Path, member: &Member) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut missing = |path: &str, text: &str| {
        findings.push(Finding { path: short.join(path), line: 0, text: text.into() });
    };
    if member.publish {
        for paper in PAPERS.iter().filter(|paper| !folder.join(paper).is_file()) {
            missing(paper, "missing; a published crate has one");
        }
        let said =
            [(member.description, "description"), (member.keywords, "keywords"), (member.license, "license")];
        for (_, field) in said.iter().filter(|(there, _)| !there) {
            missing("Cargo.toml", &format!("no {field}; a published crate has one"));
        }
    }
    if member.is_pattern() {
        for room in ROOMS.iter().filter(|room| !room.iter().any(|name| folder.join(name).is_file())) {
            missing(room[0], "missing; every pattern crate has this room");
        }
        findings.extend(long_lib(short, folder));
    }
    findings
}

fn long_lib(short: &Path, folder: &Path) -> Option<Finding> {
    let text = std::fs::read_to_string(folder.join("src/lib.rs")).ok()?;
    let lines = text.lines().count();
    (lines > LIB_LINES).then(|| Finding {
        path: short.join("src/lib.rs"),
        line: 0,
        text: format!("{lines} lines, at most {LIB_LINES}: prose, modules, re-exports and nothing else"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A crate on disk, gone with its handle.
    struct Crate(PathBuf);

    impl Crate {
        fn new(test: &str, files: &[(&str, usize)]) -> Self {
            let folder =
                std::env::temp_dir().join(format!("rooms-{}-{test}", std::process::id())).join("redis-lock");
            fs::create_dir_all(folder.join("src/scripts")).unwrap();
            for (file, lines) in files {
                fs::write(folder.join(file), "\n".repeat(*lines)).unwrap();
            }
            Self(folder)
        }

        fn findings(&self, member: &Member) -> Vec<String> {
            check_member(Path::new("x"), &self.0, member).iter().map(ToString::to_string).collect()
        }
    }

    impl Drop for Crate {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.parent().unwrap());
        }
    }

    const ALL: [(&str, usize); 7] = [
        ("README.md", 1),
        ("CHANGELOG.md", 1),
        ("src/lib.rs", 80),
        ("src/options.rs", 1),
        ("src/keys.rs", 1),
        ("src/scripts/mod.rs", 1),
        ("src/error.rs", 1),
    ];

    fn finished() -> Member {
        let folder = "crates/redis-lock".into();
        Member {
            folder,
            publish: true,
            description: true,
            keywords: true,
            license: true,
            ..Member::default()
        }
    }

    #[test]
    fn a_finished_crate_is_tidy() {
        assert_eq!(Crate::new("finished", &ALL).findings(&finished()), [""; 0]);
    }

    #[test]
    fn each_missing_room_and_paper_is_found() {
        for (file, _) in ALL {
            let others: Vec<_> = ALL.into_iter().filter(|(other, _)| *other != file).collect();
            let findings = Crate::new("missing", &others).findings(&finished());
            assert_eq!(findings.len(), 1, "{file}: {findings:?}");
        }
    }

    #[test]
    fn a_long_lib_is_found() {
        let mut files = ALL;
        files[2].1 = 81;
        let findings = Crate::new("long", &files).findings(&finished());
        assert_eq!(
            findings,
            ["x/src/lib.rs: 81 lines, at most 80: prose, modules, re-exports and nothing else"]
        );
    }

    #[test]
    fn a_silent_manifest_is_found() {
        let member = Member { folder: finished().folder, publish: true, ..Member::default() };
        let findings = Crate::new("silent", &ALL).findings(&member);
        assert_eq!(findings.len(), 3, "{findings:?}");
    }

    #[test]
    fn a_crate_that_is_not_published_owes_nothing() {
        let member = Member { folder: "crates/showcase".into(), ..Member::default() };
        assert_eq!(Crate::new("private", &[]).findings(&member), [""; 0]);
    }
}
