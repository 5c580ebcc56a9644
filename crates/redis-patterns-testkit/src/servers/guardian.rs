//! The shell that starts a group's servers and ends them when this process ends in any way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Error, paths};

/// See the head of `guardian.sh` for what it does with each request.
const SCRIPT: &str = include_str!("guardian.sh");

/// Drop ends the servers and removes their folder before it returns.
#[derive(Debug)]
pub(super) struct Guardian {
    dir: PathBuf,
    talk: Mutex<Talk>,
}

#[derive(Debug)]
struct Talk {
    shell: Child,
    /// The one write end of the pipe; taken at drop. Closed by the kernel if we are killed.
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Guardian {
    /// Starts the guardian of a new folder below `target/`.
    pub(super) fn new() -> Result<Self, Error> {
        Self::of(paths::run_dir()?)
    }

    /// Starts the guardian of this folder, which must exist.
    pub(super) fn of(dir: PathBuf) -> Result<Self, Error> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "redis-patterns-guardian"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C reaches the terminal's whole group: the guardian must outlive us to clean up.
            .process_group(0)
            .spawn()
            .map_err(|e| Error::io("cannot run sh", e))?;
        let (Some(ask), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(Error::io("cannot talk to sh", std::io::ErrorKind::BrokenPipe.into()));
        };
        let talk = Talk { shell, ask: Some(ask), answers: BufReader::new(answers) };
        Ok(Self { dir, talk: Mutex::new(talk) })
    }

    /// The group's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What to run after the servers are killed; set it before starting what it ends.
    pub(super) fn set_cleanup(&self, script: &str) -> Result<(), Error> {
        paths::write(&self.dir.join("cleanup"), script)
    }

    /// Starts `dir/script` as a server whose output goes to `dir/log`; answers its process id.
    pub(super) fn spawn(&self, script: &str, log: &str) -> Result<u32, Error> {
        self.ask(&format!("spawn {script} {log}"))
    }

    /// Like [`Guardian::spawn`], for a server that is to be asked to quit before it is killed.
    pub(super) fn tend(&self, script: &str, log: &str) -> Result<u32, Error> {
        self.ask(&format!("tend {script} {log}"))
    }

    /// Starts `dir/script` as a command that ends by itself.
    pub(super) fn job(&self, script: &str, log: &str) -> Result<u32, Error> {
        self.ask(&format!("job {script} {log}"))
    }

    /// Waits for a job's end; answers its exit status.
    pub(super) fn join(&self, pid: u32) -> Result<u32, Error> {
        self.ask(&format!("join {pid}"))
    }

    /// Sends `STOP` or `CONT`.
    pub(super) fn signal(&self, signal: &str, pid: u32) -> Result<(), Error> {
        match self.ask(&format!("signal {signal} {pid}"))? {
            0 => Ok(()),
            _ => Err(Error::unusable(
                format!("process {pid} is gone and cannot get SIG{signal}"),
                "restart() the node first",
            )),
        }
    }

    /// Kills a server with SIGKILL and waits until it is gone.
    pub(super) fn end(&self, pid: u32) -> Result<(), Error> {
        self.ask(&format!("end {pid}")).map(drop)
    }

    /// Lets the servers live on; the folder stays too.
    pub(super) fn release(self) -> Result<(), Error> {
        self.ask("release").map(drop)
    }

    fn ask(&self, request: &str) -> Result<u32, Error> {
        let failed = |e| Error::io(format!("the guardian did not answer to {request:?}"), e);
        let mut talk = self.talk();
        let Some(ask) = talk.ask.as_mut() else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        writeln!(ask, "{request}").map_err(failed)?;
        let mut answer = String::new();
        talk.answers.read_line(&mut answer).map_err(failed)?;
        answer.trim().parse().map_err(|_| failed(std::io::ErrorKind::UnexpectedEof.into()))
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let mut talk = self.talk();
        drop(talk.ask.take());
        // The shell ends once everything is killed and removed.
        let _ = talk.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::wait_until;
    use std::time::Duration;

    fn alive(pid: u32) -> bool {
        let kill = Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status();
        kill.unwrap().success()
    }

    fn sleeper() -> (Guardian, u32) {
        let guardian = Guardian::new().unwrap();
        paths::write(&guardian.dir().join("start"), "exec sleep 600").unwrap();
        let pid = guardian.spawn("start", "log").unwrap();
        assert!(alive(pid));
        (guardian, pid)
    }

    #[test]
    fn drop_kills_and_removes() {
        let (guardian, pid) = sleeper();
        let dir = guardian.dir().to_owned();
        paths::write(&dir.join("cleanup"), &format!("touch {}.cleaned", dir.display())).unwrap();
        drop(guardian);
        assert!(!alive(pid) && !dir.exists());
        let cleaned = dir.with_extension("cleaned");
        assert!(std::fs::remove_file(cleaned).is_ok(), "the cleanup script ran");
    }

    #[test]
    fn a_terminated_guardian_cleans_up_too() {
        let (guardian, pid) = sleeper();
        let shell = guardian.talk().shell.id();
        let status = Command::new("sh").args(["-c", &format!("kill {shell}")]).status().unwrap();
        assert!(status.success());
        wait_until(Duration::from_secs(5), "the sleeper's end", || !alive(pid)).unwrap();
    }

    #[test]
    fn end_waits_and_release_leaves_alone() {
        let (guardian, pid) = sleeper();
        guardian.end(pid).unwrap();
        assert!(!alive(pid));
        assert!(guardian.signal("STOP", pid).is_err());
        let second = guardian.spawn("start", "log").unwrap();
        let dir = guardian.dir().to_owned();
        guardian.release().unwrap();
        assert!(alive(second) && dir.exists());
        let end = format!("kill -9 {second}; rm -r {}", dir.display());
        assert!(Command::new("sh").args(["-c", &end]).status().unwrap().success());
    }
}
