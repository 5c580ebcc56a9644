//! `cargo xtask chaos`: the fault suite of redis-patterns-chaos, or the fault tests of the crates.

use std::ffi::OsString;

use crate::args::Args;
use crate::cargo::{cargo, run as run_cargo};
use crate::failure::Failure;
use crate::test::Plan;
use crate::workspace::{Member, Workspace};

const HELP: &str = "\
cargo xtask chaos [pattern ..] [options]      every fault under every pattern, with checkers;
                                              --help of it lists the options:
  ratelimit lock idem session queue    default: all five
  --fault F3                           default: those of the ring; may be given again
  --topology standalone|cluster        default: both
  --ring push|merge|nightly|release    default: merge; push takes 5 minutes at most, merge 15
  --minutes N                          so long in all, instead of the ring's time
  --seed S                             repeats a schedule of faults; default: a random one
  --controls                           only the wrong implementations, which must be caught
  --mutants                            changes the scripts one by one; the crates' tests must see it
  --out DIR                            histories and report.json; default: chaos/ in the target folder
  --write-docs                         puts the counts of report.json into the documentation

cargo xtask chaos --tests [options] [-- arguments of the test program]
                                              tests/faults.rs of every crate that has one

  -p, --package CRATE                       only this crate; may be given again
  --topology standalone|cluster|all         default: all; a cluster that cannot start is skipped
  --server auto|redis7|redis8|valkey9|URL   default: auto, the first that can be had here
  --backend auto|native|compose             default: auto; native needs no Docker
";

const FAULTS: &str = "faults";
const TESTS: &str = "--tests";

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut words = args.words();
    if words.first().is_some_and(|word| word == "-h" || word == "--help") {
        print!("{HELP}");
        return Ok(());
    }
    if let Some(at) = words.iter().position(|word| word == TESTS) {
        words.remove(at);
        return tests(Args::new(words.into_iter()));
    }
    let mut command = cargo(["run", "--release", "-q", "-p", "redis-patterns-chaos", "--"]);
    if !words.iter().any(|word| word == "--out") {
        let out = Workspace::load()?.target.join("chaos");
        command.arg("--out").arg(out);
    }
    command.args(words);
    run_cargo(command)
}

fn tests(args: Args) -> Result<(), Failure> {
    let Some(mut plan) = Plan::parse(HELP, args)? else {
        return Ok(());
    };
    let workspace = Workspace::load()?;
    plan.packages = crates_with_faults(&workspace, &plan.packages)?;
    let rest = std::mem::take(&mut plan.cargo_args);
    let test: [OsString; 3] = ["--test".into(), FAULTS.into(), "--".into()];
    plan.cargo_args = test.into_iter().chain(rest).collect();
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
