//! `cargo xtask test`: servers, `cargo test`, and an honest summary.

mod skips;
mod summary;
mod tally;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use crate::args::Args;
use crate::cargo::{cargo, spell};
use crate::failure::{Context, Failure};
use crate::server_args::{ServerArgs, Topologies};
use crate::servers::Fleet;
use crate::workspace::{Member, Workspace};

use skips::SkipLog;
use summary::Summary;
use tally::Tally;

const HELP: &str = "\
cargo xtask test [options] [-- cargo test's arguments]

Starts the servers, runs the tests with doctests, stops the servers, says what was skipped and why.
Says nothing? Then whatever can be had here is used, and everything that can run runs.

  -p, --package CRATE                       only this crate; may be given again
  --topology standalone|cluster|all         default: all; a cluster that cannot start is skipped
  --server auto|redis7|redis8|valkey9|URL   default: auto, the first that can be had here
  --backend auto|native|compose             default: auto; native needs no Docker

  cargo xtask test -p redis-lock -- renew               the tests whose name holds `renew`
  cargo xtask test -p redis-lock -- --test behaviour    one file
  cargo xtask test -- -- --nocapture                    arguments of the test program

The last line counts: `N passed, N failed, N skipped`.
";

/// Features that cost minutes to build and that no test of ours needs.
const HEAVY: [(&str, &str); 1] = [("redis-patterns-testkit", "containers")];

/// What to test, and on what.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Empty: the whole workspace.
    pub(crate) packages: Vec<String>,
    pub(crate) servers: ServerArgs,
    pub(crate) cargo_args: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match Plan::parse(HELP, args)? {
        Some(plan) => plan.run(&Workspace::load()?),
        None => Ok(()),
    }
}

impl Plan {
    /// `None`: only the help was asked for.
    pub(crate) fn parse(help: &str, args: Args) -> Result<Option<Self>, Failure> {
        let mut plan = Self::default();
        let rest = args.parse(help, |arg, values| {
            if !matches!(arg, "-p" | "--package") {
                return plan.servers.take(arg, values);
            }
            plan.packages.push(values.text()?);
            Ok(true)
        })?;
        let Some(rest) = rest else { return Ok(None) };
        plan.cargo_args = rest;
        Ok(Some(plan))
    }

    /// Runs the tests. The servers are gone before the summary is printed.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Failure> {
        let mut command = self.command(workspace)?;
        let fleet = Fleet::start(&self.servers, Topologies::All)?;
        let skips = SkipLog::new(&workspace.target)?;
        fleet.tell(&mut command);
        skips.tell(&mut command);
        eprintln!("$ {}", spell(&command));
        let (status, tally) = run_and_count(command, &mut std::io::stdout())?;
        let summary = Summary::new(&fleet, skips.read()?, tally, status.success());
        drop(fleet);
        print!("{summary}");
        summary.verdict(self.may_run_nothing())
    }

    fn command(&self, workspace: &Workspace) -> Result<Command, Failure> {
        let members: Vec<&Member> = match self.packages.as_slice() {
            [] => workspace.members.iter().collect(),
            names => names.iter().map(|name| workspace.member(name)).collect::<Result<_, _>>()?,
        };
        let mut command = cargo(["test", "--no-fail-fast"]);
        match self.packages.is_empty() {
            true => command.arg("--workspace"),
            false => command.args(members.iter().flat_map(|member| ["-p", &member.name])),
        };
        let features = light_features(&members);
        if !features.is_empty() {
            command.args(["--features", &features.join(",")]);
        }
        command.args(&self.cargo_args);
        Ok(command)
    }

    /// Some arguments build or list and run no test by intention.
    fn may_run_nothing(&self) -> bool {
        let quiet = ["--no-run", "--list", "--help", "-h"];
        self.cargo_args.iter().any(|arg| quiet.iter().any(|quiet| arg == quiet))
    }
}

/// `crate/feature` for every feature that is worth its build.
fn light_features(members: &[&Member]) -> Vec<String> {
    let of_one = |member: &&Member| {
        let name = member.name.clone();
        let light =
            |feature: &&String| *feature != "default" && !HEAVY.contains(&(name.as_str(), feature.as_str()));
        member.features.iter().filter(light).map(|feature| format!("{name}/{feature}")).collect::<Vec<_>>()
    };
    members.iter().flat_map(of_one).collect()
}

/// Cargo's lines go through as they come; on their way they are counted.
fn run_and_count(mut command: Command, ours: &mut impl Write) -> Result<(ExitStatus, Tally), Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("cannot read what cargo test says")?;
            // A closed pipe behind us must not stop the tests half way.
            let _ = ours.write_all(&line).and_then(|()| ours.write_all(b"\n"));
            tally.line(&String::from_utf8_lossy(&line));
        }
    }
    Ok((child.wait().context("cannot wait for cargo test")?, tally))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(argv: &[&str]) -> Plan {
        Plan::parse(HELP, Args::new(argv.iter())).unwrap().unwrap()
    }

    fn workspace() -> Workspace {
        let member = |name: &str, features: &[&str]| Member {
            name: name.into(),
            features: features.iter().map(ToString::to_string).collect(),
            ..Member::default()
        };
        let members = vec![
            member("core", &["default", "json"]),
            member("redis-patterns-testkit", &["default", "harness", "containers"]),
        ];
        Workspace { root: "/r".into(), target: "/r/target".into(), members }
    }

    fn spelled(argv: &[&str]) -> String {
        spell(&plan(argv).command(&workspace()).unwrap())
    }

    #[test]
    fn nothing_said_tests_everything_that_is_light() {
        assert_eq!(
            spelled(&[]),
            "cargo test --no-fail-fast --workspace --features core/json,redis-patterns-testkit/harness"
        );
    }

    #[test]
    fn crates_and_cargo_arguments_are_handed_on() {
        assert_eq!(
            spelled(&["-p", "core", "--backend=native", "--", "renew", "--", "--nocapture"]),
            "cargo test --no-fail-fast -p core --features core/json renew -- --nocapture"
        );
    }

    #[test]
    fn an_unknown_crate_is_wrong_usage() {
        assert_eq!(plan(&["-p", "nope"]).command(&workspace()).unwrap_err().code(), 2);
    }

    #[test]
    fn running_nothing_must_be_asked_for() {
        assert!(plan(&["--", "--no-run"]).may_run_nothing());
        assert!(!plan(&["--", "some_name"]).may_run_nothing());
    }

    #[test]
    fn output_is_counted() {
        let mut command = Command::new("printf");
        command.arg("test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n");
        // Not to our own output: whoever counts the tests of this file would count these too.
        let mut seen = Vec::new();
        let (status, tally) = run_and_count(command, &mut seen).unwrap();
        assert!(status.success() && seen.ends_with(b"filtered out\n"));
        assert_eq!((tally.passed, tally.ignored), (2, 1));
    }
}
