//! `cargo xtask package` and `cargo xtask publish`.

use std::process::Command;

use crate::args::Args;
use crate::cargo::{cargo, root, run};
use crate::failure::Failure;
use crate::stale::forget_earlier;
use crate::workspace::{Kind, Member, Workspace};

const PACKAGE_HELP: &str = "\
cargo xtask package [-p CRATE]...

Builds the .crate file of every published crate, core first, and compiles each from its package.
  -p, --package CRATE     only this one, with those of ours that it needs beside it
";

const PUBLISH_HELP: &str = "\
cargo xtask publish [--dry-run] [-p CRATE]...

As `package`, then hands the crates to the registry. docs/publishing.md has the order and the names.
  --dry-run               stop before anything is handed over
  -p, --package CRATE     only this one; what it needs of ours must be published before
";

/// Package names that belong to others in the public crate registry.
const TAKEN: [&str; 2] = ["redis-lock", "redis-queue"];

#[derive(Debug, Default)]
struct Order {
    packages: Vec<String>,
    dry_run: bool,
}

pub(crate) fn run_package(args: Args) -> Result<(), Failure> {
    let mut order = Order::default();
    if !args.parse_all(PACKAGE_HELP, |arg, values| order.take_package(arg, values))? {
        return Ok(());
    }
    let workspace = Workspace::load()?;
    let chosen = order.with_needs(&workspace)?;
    eprintln!("packaging {}", names(chosen.iter().copied()));
    forget_earlier(&workspace);
    run(command(&["package"], &chosen))
}

pub(crate) fn run_publish(args: Args) -> Result<(), Failure> {
    let mut order = Order::default();
    let go_on = args.parse_all(PUBLISH_HELP, |arg, values| match arg {
        "--dry-run" => Ok(true).inspect(|_| order.dry_run = true),
        _ => order.take_package(arg, values),
    })?;
    if !go_on {
        return Ok(());
    }
    let workspace = Workspace::load()?;
    if order.dry_run {
        let chosen = order.with_needs(&workspace)?;
        eprintln!("trying to publish {}", names(chosen.iter().copied()));
        forget_earlier(&workspace);
        return run(command(&["publish", "--dry-run"], &chosen));
    }
    let chosen = order.chosen(&workspace)?;
    refuse_taken_names(&workspace, &chosen)?;
    eprintln!("publishing {}", names(chosen.iter().copied()));
    forget_earlier(&workspace);
    run(command(&["publish"], &chosen))
}

/// The crates in order, as one text.
pub(crate) fn names<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    members.map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Order {
    fn take_package(&mut self, arg: &str, values: &mut crate::args::Values) -> Result<bool, Failure> {
        if !matches!(arg, "-p" | "--package") {
            return Ok(false);
        }
        self.packages.push(values.text()?);
        Ok(true)
    }

    /// What was named, or every published crate; in dependency order.
    fn chosen<'a>(&self, workspace: &'a Workspace) -> Result<Vec<&'a Member>, Failure> {
        let named = self.packages.iter().map(|name| workspace.member(name)).collect::<Result<Vec<_>, _>>()?;
        if let Some(private) = named.iter().find(|member| !member.publish) {
            return Err(Failure::usage(format!(
                "{} is not published: its Cargo.toml says publish = false",
                private.name
            )));
        }
        let wanted = |member: &&Member| named.is_empty() || named.iter().any(|one| one.name == member.name);
        Ok(workspace.publishable().filter(wanted).collect())
    }

    /// The same with what it needs of ours, which cargo then takes from beside it: the registry
    /// may not have it yet, or not in this version.
    fn with_needs<'a>(&self, workspace: &'a Workspace) -> Result<Vec<&'a Member>, Failure> {
        let needed = workspace.with_needs(&self.chosen(workspace)?);
        Ok(needed.into_iter().filter(|member| member.publish).collect())
    }
}

fn command(verb: &[&str], members: &[&Member]) -> Command {
    let mut command = cargo(verb);
    command.args(members.iter().flat_map(|member| ["-p", &member.name]));
    if is_dirty() && std::env::var_os("CI").is_none() {
        eprintln!("there are changes that are not committed; they are packaged too (--allow-dirty)");
        command.arg("--allow-dirty");
    }
    command
}

/// A folder that is no repository has nothing to commit.
fn is_dirty() -> bool {
    let status = Command::new("git").args(["status", "--porcelain"]).current_dir(root()).output();
    status.is_ok_and(|status| !status.stdout.is_empty())
}

/// A crate that needs a taken name would bring its users a stranger's crate.
fn refuse_taken_names(workspace: &Workspace, chosen: &[&Member]) -> Result<(), Failure> {
    let needs = |member: &Member, name: &str| {
        member.dependencies.iter().any(|need| need.name == name && need.kind != Kind::Dev)
    };
    for taken in TAKEN.iter().filter(|taken| workspace.members.iter().any(|member| member.name == **taken)) {
        if let Some(member) = chosen.iter().find(|member| member.name == *taken || needs(member, taken)) {
            let is_or_needs = if member.name == *taken { "is" } else { "needs" };
            return Err(Failure::task(format!(
                "{} {is_or_needs} a name that others hold in the public crate registry ({taken}); docs/publishing.md says how to rename it",
                member.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, publish: bool, needs: &[&str]) -> Member {
        let need = |name: &&str| Dependency { name: name.to_string(), kind: Kind::Normal };
        let dependencies = needs.iter().map(need).collect();
        Member { name: name.into(), publish, dependencies, ..Member::default() }
    }

    fn workspace() -> Workspace {
        let members = vec![
            member("core", true, &[]),
            member("testkit", false, &["core"]),
            member("redis-idem", true, &["core", "testkit"]),
            member("redis-lock", true, &["core"]),
            member("monitor", true, &["redis-lock"]),
        ];
        Workspace { root: "/r".into(), target: "/t".into(), members }
    }

    fn order(packages: &[&str]) -> Order {
        Order { packages: packages.iter().map(ToString::to_string).collect(), dry_run: false }
    }

    #[test]
    fn everything_published_in_order() {
        let workspace = workspace();
        let chosen = order(&[]).chosen(&workspace).unwrap();
        assert_eq!(names(chosen.into_iter()), "core, redis-idem, redis-lock, monitor");
    }

    #[test]
    fn one_crate_has_what_it_needs_of_ours_beside_it() {
        let workspace = workspace();
        let order = order(&["redis-idem"]);
        assert_eq!(names(order.with_needs(&workspace).unwrap().into_iter()), "core, redis-idem");
        assert_eq!(names(order.chosen(&workspace).unwrap().into_iter()), "redis-idem");
    }

    #[test]
    fn a_private_crate_is_wrong_usage() {
        assert_eq!(order(&["testkit"]).chosen(&workspace()).unwrap_err().code(), 2);
    }

    #[test]
    fn taken_names_are_refused_also_when_only_needed() {
        let workspace = workspace();
        for name in ["redis-lock", "monitor"] {
            let failure = refuse_taken_names(&workspace, &[workspace.member(name).unwrap()]).unwrap_err();
            assert!(failure.to_string().contains("docs/publishing.md"), "{failure}");
        }
        assert!(refuse_taken_names(&workspace, &[workspace.member("redis-idem").unwrap()]).is_ok());
    }
}
