//! `cargo xtask`: everything this repository can do, one file per task. This file only dispatches.

mod args;
mod bench;
mod cargo;
mod chaos;
mod ci;
mod demo;
mod failure;
mod licences;
mod package;
mod progress;
mod server_args;
mod servers;
mod source;
mod stale;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use args::Args;
use failure::Failure;

const HELP: &str = "\
cargo xtask TASK [options]        cargo xtask TASK --help says more

  demo      all five patterns at work on a real server, with a table of what happened
  test      start servers, run every test that can run, say what was skipped and why
  bench     the benchmarks of one crate, or of all, on a server of their own
  chaos     the fault tests: kills, lost replies, failovers

  up        start servers and leave them running
  down      stop them
  status    say what runs, and what could

  ci        everything that must be green: fmt, clippy, docs, tidy, licences, features, light, test, package
  tidy      check the text: scripts, lengths, layers, rooms of each crate, words that must not stay
  package   build the .crate files and compile each from its package
  publish   the same, then hand them to the registry; --dry-run stops before that
";

type Task = fn(Args) -> Result<(), Failure>;

const TASKS: &[(&str, Task)] = &[
    ("demo", demo::run),
    ("test", test::run),
    ("bench", bench::run),
    ("chaos", chaos::run),
    ("up", servers::up),
    ("down", servers::down),
    ("status", servers::status),
    ("ci", ci::run),
    ("tidy", tidy::run),
    ("package", package::run_package),
    ("publish", package::run_publish),
];

fn main() -> ExitCode {
    match dispatch(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(mut argv: impl Iterator<Item = String>) -> Result<(), Failure> {
    let name = argv.next().unwrap_or_default();
    if matches!(name.as_str(), "" | "help" | "-h" | "--help") {
        print!("{HELP}");
        return Ok(());
    }
    match TASKS.iter().find(|(task, _)| *task == name) {
        Some((_, run)) => run(Args::new(argv)),
        None => Err(Failure::usage(format!("no task is called {name:?}; `cargo xtask` lists them"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_task_is_wrong_usage() {
        let failure = dispatch(["tset".to_string()].into_iter()).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("tset"), "{failure}");
    }

    #[test]
    fn the_help_names_every_task() {
        for (task, _) in TASKS {
            assert!(HELP.contains(&format!("\n  {task} ")), "{task}");
        }
    }

    #[test]
    fn every_task_has_help_of_its_own() {
        for (task, _) in TASKS {
            let argv = [task.to_string(), "--help".into()].into_iter();
            assert!(dispatch(argv).is_ok(), "{task}");
        }
    }
}
