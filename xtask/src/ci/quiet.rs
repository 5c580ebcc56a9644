//! Commands whose output only matters when they fail.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cargo::spell;
use crate::failure::{Context, Failure};
use crate::workspace::Workspace;

/// A step that failed: what it said, and how to see it again.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) output: String,
    pub(super) repeat: String,
}

impl Broken {
    pub(super) fn new(output: impl ToString, repeat: &str) -> Self {
        Self { output: output.to_string(), repeat: repeat.into() }
    }
}

/// Runs with the output held back, and gives it: both streams, in the order they came.
pub(super) fn quietly(workspace: &Workspace, command: &mut Command) -> Result<String, Broken> {
    let repeat = spell(command);
    let log = workspace.target.join(log_name());
    let ended = run_into(command, &log);
    // Read by now. A leftover is harmless: the next run has a file of its own.
    let _ = std::fs::remove_file(&log);
    match ended {
        Ok((true, output)) => Ok(output),
        Ok((false, output)) => Err(Broken { output, repeat }),
        Err(failure) => Err(Broken::new(failure, &repeat)),
    }
}

/// Another task, in a process of its own so that its output can be held back.
pub(super) fn xtask(workspace: &Workspace, task: &str) -> Result<String, Broken> {
    let repeat = format!("cargo xtask {task}");
    let us = std::env::current_exe().map_err(|error| Broken::new(error, &repeat))?;
    let mut command = Command::new(us);
    command.arg(task).current_dir(&workspace.root);
    quietly(workspace, &mut command).map_err(|broken| Broken { repeat, ..broken })
}

/// A name that no other command has, in this process or in another.
fn log_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ci-{}-{number}.log", std::process::id())
}

fn run_into(command: &mut Command, log: &Path) -> Result<(bool, String), Failure> {
    let file = File::create(log).context(log.display())?;
    let second = file.try_clone().context(log.display())?;
    let status = command.stdout(file).stderr(second).status();
    let status = status.context(format_args!("cannot run {}", spell(command)))?;
    let output = std::fs::read(log).context(log.display())?;
    Ok((status.success(), String::from_utf8_lossy(&output).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        Workspace { root: "/".into(), target: std::env::temp_dir(), members: vec![] }
    }

    #[test]
    fn a_broken_command_says_both_streams_and_how_to_repeat() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let broken = quietly(&workspace(), &mut command).unwrap_err();
        assert_eq!(broken.output, "one\ntwo\n");
        assert_eq!(broken.repeat, "sh -c 'echo one; echo two >&2; exit 3'");
    }

    #[test]
    fn a_program_that_is_not_there_is_broken_too() {
        let broken = quietly(&workspace(), &mut Command::new("no-such-program")).unwrap_err();
        assert!(broken.output.starts_with("cannot run no-such-program"), "{broken:?}");
    }
}
