//! Running cargo, the same one that runs us, from the root of the repository.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::failure::{Context, Failure};

/// The root of the repository. Read at run time, so that a moved checkout finds itself.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), Path::to_path_buf)
}

/// A cargo command that starts in the root.
pub(crate) fn cargo(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Shows the command, runs it with our own input and output, and passes its exit code on.
pub(crate) fn run(mut command: Command) -> Result<(), Failure> {
    eprintln!("$ {}", spell(&command));
    let status = command.status().context(format_args!("cannot run {}", spell(&command)))?;
    pass_on(status)
}

/// The exit code of a program that has already told its story.
pub(crate) fn pass_on(status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    match code {
        Some(code) => Err(Failure::Child(code)),
        None => Err(Failure::task(format!("the program did not end by itself: {status}"))),
    }
}

/// The command as one would type it.
pub(crate) fn spell(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        // The addresses of our servers are of no use to a reader: the servers are gone by then.
        let name = name.to_str()?;
        let value = value?.to_str()?;
        (!name.starts_with("REDIS_PATTERNS_")).then(|| format!("{name}={}", quote(value)))
    });
    let program = match command.get_program().to_str() {
        Some(path) => Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or(path),
        None => "cargo",
    };
    let args = command.get_args().map(|arg| quote(&arg.to_string_lossy()));
    settings.chain([program.to_string()]).chain(args).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_spelled_so_that_a_shell_takes_it() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["test", "--features", "a/b,c/d", "it's here"]);
        command.env("RUSTDOCFLAGS", "-D warnings").env("REDIS_PATTERNS_STANDALONE_URL", "redis://x");
        assert_eq!(
            spell(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo test --features a/b,c/d 'it'\''s here'"
        );
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").exists());
    }
}
