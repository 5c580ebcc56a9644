//! What each step does.

use super::quiet::{Broken, quietly, xtask};
use crate::cargo::{cargo, spell};
use crate::workspace::{Member, PATTERNS, Workspace};
use crate::{licences as policy, package as packages, tidy as text};

/// What the default features of a pattern must not cost its user.
const HEAVY: [&str; 4] = ["axum", "sqlx", "testcontainers", "redis-patterns-testkit"];

type Outcome = Result<String, Broken>;

pub(super) fn fmt(workspace: &Workspace) -> Outcome {
    let check = quietly(workspace, &mut cargo(["fmt", "--all", "--check"]));
    check.map(silent).map_err(|broken| Broken {
        repeat: "cargo fmt --all --check; `cargo fmt --all` repairs it".into(),
        ..broken
    })
}

pub(super) fn clippy(workspace: &Workspace) -> Outcome {
    let everything = ["--workspace", "--all-targets", "--all-features"];
    let mut command = cargo(["clippy"]);
    command.args(everything).args(["--", "-D", "warnings"]);
    quietly(workspace, &mut command).map(silent)
}

pub(super) fn docs(workspace: &Workspace) -> Outcome {
    let mut command = cargo(["doc", "--workspace", "--all-features", "--no-deps"]);
    quietly(workspace, command.env("RUSTDOCFLAGS", "-D warnings")).map(silent)
}

pub(super) fn tidy(workspace: &Workspace) -> Outcome {
    let repeat = "cargo xtask tidy";
    let findings = text::findings(workspace).map_err(|failure| Broken::new(failure, repeat))?;
    none_of(findings.iter().map(ToString::to_string).collect(), repeat)
}

pub(super) fn licences(workspace: &Workspace) -> Outcome {
    let repeat = "cargo xtask ci --only licences";
    let findings = policy::findings().map_err(|failure| Broken::new(failure, repeat))?;
    none_of(findings, repeat)?;
    if quietly(workspace, &mut cargo(["deny", "--version"])).is_err() {
        return Ok("cargo-deny skipped, it is not here: `cargo install --locked cargo-deny`".into());
    }
    let mut deny = cargo(["deny", "check", "licenses", "bans", "sources"]);
    quietly(workspace, &mut deny).map(|_| "cargo-deny agrees".into())
}

pub(super) fn features(workspace: &Workspace) -> Outcome {
    let mut checked = 0;
    for member in workspace.publishable() {
        for choice in [&[][..], &["--no-default-features"], &["--all-features"]] {
            let mut command = cargo(["check", "-p", &member.name]);
            quietly(workspace, command.args(choice))?;
            checked += 1;
        }
    }
    Ok(format!("{checked} checks"))
}

pub(super) fn light(workspace: &Workspace) -> Outcome {
    let adopted =
        |member: &&Member| member.name == "redis-patterns-core" || PATTERNS.contains(&member.folder_name());
    let mut sizes = Vec::new();
    for member in workspace.members.iter().filter(adopted) {
        let mut command = cargo(["tree", "-e", "normal", "--prefix", "none", "-p"]);
        let tree = quietly(workspace, command.arg(&member.name))?;
        let heavy = heavy_ones(&tree).join(", ");
        if !heavy.is_empty() {
            let name = &member.name;
            let text = format!("{name} pulls in {heavy} by default; put it behind a feature");
            return Err(Broken::new(text, &spell(&command)));
        }
        sizes.push(format!("{} {}", member.name, different(&tree)));
    }
    Ok(format!("crates in the tree of {}", sizes.join(", ")))
}

pub(super) fn test(workspace: &Workspace) -> Outcome {
    let output = xtask(workspace, "test")?;
    Ok(output.lines().last().unwrap_or_default().to_string())
}

pub(super) fn package(workspace: &Workspace) -> Outcome {
    xtask(workspace, "package")?;
    Ok(packages::names(workspace.publishable()))
}

fn silent(_output: String) -> String {
    String::new()
}

fn none_of(findings: Vec<String>, repeat: &str) -> Outcome {
    if findings.is_empty() {
        return Ok(String::new());
    }
    Err(Broken::new(findings.join("\n"), repeat))
}

/// The heavy names that start a line of `cargo tree`, also as the first part of a longer name.
fn heavy_ones(tree: &str) -> Vec<&str> {
    let heavy = |name: &&str| {
        let is_or_begins = |heavy: &&str| {
            let rest = name.strip_prefix(heavy);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        HEAVY.iter().any(is_or_begins)
    };
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<_> = names.filter(heavy).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// How many different crates a tree holds; one that was shown before is marked `(*)`.
fn different(tree: &str) -> usize {
    let mut crates: Vec<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();
    crates.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_crates_are_seen_in_a_tree() {
        let tree =
            "redis-lock v0.1.0\nfred v10.1.0\naxum-core v0.5.0\nsqlx v0.8.0\nmaxum v1.0.0\nsqlx v0.8.0 (*)\n";
        assert_eq!(heavy_ones(tree), ["axum-core", "sqlx"]);
        assert_eq!(different(tree), 5);
    }

    #[test]
    fn findings_break_a_step() {
        assert!(none_of(vec![], "x").is_ok());
        let broken = none_of(vec!["a".into(), "b".into()], "x").unwrap_err();
        assert_eq!(broken.output, "a\nb");
    }
}
