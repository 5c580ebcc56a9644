//! `cargo xtask bench`: benchmarks against a server of their own.

use std::ffi::OsString;

use crate::args::Args;
use crate::cargo::{cargo, run as run_cargo};
use crate::failure::Failure;
use crate::server_args::{ServerArgs, Topologies};
use crate::servers::Fleet;
use crate::workspace::{Member, Workspace};

const HELP: &str = "\
cargo xtask bench [CRATE|all] [options] [-- arguments of the benchmark program]

  CRATE                                     default: all that have benchmarks
  --server auto|redis7|redis8|valkey9|URL   default: auto, the first that can be had here
  --backend auto|native|compose             default: auto; native needs no Docker

  cargo xtask bench redis-ratelimit -- --quick
";

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut asked = ServerArgs::default();
    let mut wanted = None;
    let rest = args.parse(HELP, |arg, values| match arg {
        "--server" | "--backend" => asked.take(arg, values),
        name if !name.starts_with('-') && wanted.is_none() => Ok(wanted.replace(name.to_string()).is_none()),
        _ => Ok(false),
    })?;
    let Some(rest) = rest else { return Ok(()) };
    let workspace = Workspace::load()?;
    let members = members(&workspace, wanted.as_deref())?;
    let fleet = Fleet::start(&asked, Topologies::Standalone)?;
    members.into_iter().try_for_each(|member| bench(member, &fleet, &rest))
}

/// The crates that have benchmarks, or the one of that name.
fn members<'a>(workspace: &'a Workspace, wanted: Option<&str>) -> Result<Vec<&'a Member>, Failure> {
    let has_benches = |member: &&Member| member.targets_of("bench").next().is_some();
    let found: Vec<_> = match wanted {
        None | Some("all") => workspace.members.iter().filter(has_benches).collect(),
        Some(name) => [workspace.member(name)?].into_iter().filter(has_benches).collect(),
    };
    if found.is_empty() {
        return Err(Failure::task(format!("no benchmark in {}", wanted.unwrap_or("any crate"))));
    }
    Ok(found)
}

/// Each program is named: the test harness of the library would not know the benchmark's arguments.
fn bench(member: &Member, fleet: &Fleet, rest: &[OsString]) -> Result<(), Failure> {
    let mut command = cargo(["bench", "-p", &member.name]);
    command.args(member.targets_of("bench").flat_map(|name| ["--bench", name]));
    command.arg("--").args(rest);
    fleet.tell(&mut command);
    run_cargo(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        let member = |name: &str, kind: &str| Member {
            name: name.into(),
            targets: vec![(kind.into(), "speed".into())],
            ..Member::default()
        };
        let members = vec![member("core", "lib"), member("lock", "bench")];
        Workspace { root: "/r".into(), target: "/t".into(), members }
    }

    #[test]
    fn all_means_all_that_have_benchmarks() {
        let workspace = workspace();
        for wanted in [None, Some("all"), Some("lock")] {
            let names: Vec<_> = members(&workspace, wanted).unwrap().into_iter().map(|m| &m.name).collect();
            assert_eq!(names, ["lock"]);
        }
    }

    #[test]
    fn a_crate_without_benchmarks_is_named() {
        let failure = members(&workspace(), Some("core")).unwrap_err();
        assert_eq!(failure.to_string(), "no benchmark in core");
        assert_eq!(members(&workspace(), Some("nope")).unwrap_err().code(), 2);
    }
}
