//! Programs run to their end, with a deadline, so that a hanging tool cannot hang a test.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::Error;
use super::wait::wait_until;

/// What a program left behind.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Output {
    /// The standard output, or an error with what the program said.
    pub(super) fn ok(self, what: &str) -> Result<String, Error> {
        if self.success {
            return Ok(self.stdout);
        }
        Err(Error::io(what, std::io::Error::other(self.complaint())))
    }

    /// The last line that tells why it failed.
    pub(super) fn complaint(&self) -> String {
        let mut lines = self.stderr.lines().chain(self.stdout.lines());
        let line = lines.rfind(|line| !line.trim().is_empty());
        line.unwrap_or("it failed and said nothing").trim().to_owned()
    }
}

/// Runs a program to its end; kills it at the deadline.
pub(super) fn run(command: &mut Command, deadline: Duration) -> Result<Output, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Error::io(format!("cannot run {name}"), e))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let mut status = None;
    let ended = wait_until(deadline, &format!("{name} to end"), || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    if let Err(late) = ended {
        // Grandchildren may hold the pipes: the drains are left to end on their own.
        let _ = child.kill();
        let _ = child.wait();
        return Err(late);
    }
    Ok(Output {
        success: status.is_some_and(|status| status.success()),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The first program of that name on PATH.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file))
}

/// Whether a file is there and may be executed.
pub(super) fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
