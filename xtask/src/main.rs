//! `cargo xtask`: everything this repository can do, one file per task. This file only dispatches.

mod args;
mod cargo;
mod ci;
mod failure;
mod licences;
mod package;
mod progress;
mod source;
mod tidy;
mod workspace;

use std::process::ExitCode;

use args::Args;
use failure::Failure;

const HELP: &str = "\
cargo xtask TASK [options]        cargo xtask TASK --help says more

  ci        everything that must be green: fmt, clippy, docs, tidy, licences, features, light, test, package
  tidy      check the text: scripts, lengths, layers, rooms of each crate, words that must not stay
  package   build the .crate files and compile each from its package
  publish   the same, then hand them to the registry; --dry-run stops before that
";

type Task = fn(Args) -> Result<(), Failure>;

const TASKS: &[(&str, Task)] = &[
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
        None => Err(Failure::usage(format!(
            "no task is called {name:?}; `cargo xtask` lists them"
        ))),
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
