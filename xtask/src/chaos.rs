//! `cargo xtask chaos`: the tests that break things.

use crate::args::Args;
use crate::failure::Failure;
use crate::test::Plan;
use crate::workspace::{Member, Workspace};

const HELP: &str = "\
cargo xtask chaos [options] [-- arguments of the test program]

Runs tests/faults.rs of every crate that has one: kills, lost replies, failovers, moved slots.
The long runs with their checkers will live in a crate of their own, redis-patterns-chaos;
until it is here, this is all that `chaos` does.

  -p, --package CRATE                       only this crate; may be given again
  --topology standalone|cluster|all         default: all; a cluster that cannot start is skipped
  --server auto|redis7|redis8|valkey9|URL   default: auto, the first that can be had here
  --backend auto|native|compose             default: auto; native needs no Docker
";

const FAULTS: &str = "faults";

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Some(mut plan) = Plan::parse(HELP, args)? else {
        return Ok(());
    };
    let workspace = Workspace::load()?;
    plan.packages = crates_with_faults(&workspace, &plan.packages)?;
    let rest = std::mem::take(&mut plan.cargo_args);
    plan.cargo_args = ["--test", FAULTS, "--"].into_iter().map(Into::into).chain(rest).collect();
    plan.run(&workspace)
}

fn crates_with_faults(workspace: &Workspace, asked: &[String]) -> Result<Vec<String>, Failure> {
    let asked: Vec<&Member> = asked.iter().map(|name| workspace.member(name)).collect::<Result<_, _>>()?;
    let wanted = |member: &Member| asked.is_empty() || asked.iter().any(|asked| asked.name == member.name);
    let has_faults = |member: &Member| member.targets_of("test").any(|name| name == FAULTS);
    let found = workspace.members.iter().filter(|member| wanted(member) && has_faults(member));
    let names: Vec<String> = found.map(|member| member.name.clone()).collect();
    if names.is_empty() {
        return Err(Failure::task("none of these crates has a tests/faults.rs, so there is nothing to run"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        let member = |name: &str, test: &str| Member {
            name: name.into(),
            targets: vec![("test".into(), test.into())],
            ..Member::default()
        };
        let members = vec![member("lock", "faults"), member("idem", "behaviour"), member("queue", "faults")];
        Workspace { root: "/r".into(), target: "/t".into(), members }
    }

    #[test]
    fn only_crates_with_faults_take_part() {
        assert_eq!(crates_with_faults(&workspace(), &[]).unwrap(), ["lock", "queue"]);
        assert_eq!(crates_with_faults(&workspace(), &["queue".into()]).unwrap(), ["queue"]);
    }

    #[test]
    fn nothing_to_run_is_said() {
        assert_eq!(crates_with_faults(&workspace(), &["idem".into()]).unwrap_err().code(), 1);
        assert_eq!(crates_with_faults(&workspace(), &["nope".into()]).unwrap_err().code(), 2);
    }
}
