//! The test's side: start, listen, talk, kill, stop, continue.

use super::guardian::{Guardian, MARK, ROLE};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A process that can be killed.
#[derive(Debug)]
pub struct Worker {
    // Before the child: a guard that outlived it could kill a stranger.
    guardian: Guardian,
    child: Child,
    pid: u32,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Whether only lines of [`say`](super::say) count.
    marked: bool,
}

impl Worker {
    /// Starts the current test binary again with only the test `name` (its full path, such as
    /// `worker` or `tests::worker`), which [`is_worker`](super::is_worker) tells apart; a test
    /// marked `#[ignore]` runs too.
    ///
    /// # Errors
    ///
    /// The binary cannot be started.
    pub fn spawn_self_test(name: &str, env: &[(&str, &str)]) -> io::Result<Self> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"]);
        command.env(ROLE, name).envs(env.iter().copied());
        Self::start(command, true)
    }

    /// Starts a program; every line of its standard output counts.
    ///
    /// # Errors
    ///
    /// The program cannot be started; the error names it.
    pub fn spawn(command: std::process::Command) -> io::Result<Self> {
        Self::start(command, false)
    }

    fn start(command: std::process::Command, marked: bool) -> io::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
        let gone = || io::Error::other(format!("{program}: ended at once"));
        let pid = child.id().ok_or_else(gone)?;
        let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or_else(gone)?;
        let guardian = Guardian::of(pid)?;
        Ok(Self { guardian, child, pid, stdin, lines: BufReader::new(stdout).lines(), marked })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The next line it says.
    ///
    /// # Errors
    ///
    /// It says none within `deadline` ([`io::ErrorKind::TimedOut`]), or it ended
    /// ([`io::ErrorKind::UnexpectedEof`]).
    ///
    /// # Cancel safety
    ///
    /// No line is lost when the future is dropped.
    pub async fn next_line(&mut self, deadline: Duration) -> io::Result<String> {
        let marked = self.marked;
        let next = async {
            loop {
                match self.lines.next_line().await? {
                    None => {
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the worker ended; it says no more",
                        ));
                    }
                    Some(line) if !marked => return Ok(line),
                    Some(line) => {
                        if let Some(said) = line.strip_prefix(MARK) {
                            return Ok(said.to_owned());
                        }
                    }
                }
            }
        };
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, format!("the worker said nothing for {deadline:?}"));
        tokio::time::timeout(deadline, next).await.unwrap_or_else(|_| Err(late()))
    }

    /// Sends it one line.
    ///
    /// # Errors
    ///
    /// It ended.
    pub async fn send_line(&mut self, line: &str) -> io::Result<()> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        self.stdin.flush().await
    }

    /// SIGKILL: it is gone when this returns, whatever it was doing.
    ///
    /// # Errors
    ///
    /// It cannot be awaited.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.guardian.dismiss();
        self.child.kill().await
    }

    /// SIGSTOP: it stops wherever it is, its connections stay open. All its threads stand still
    /// when this returns.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        // The signal is only on its way; a thread on another core could still get something done.
        // NOWAIT leaves an end for the one who reaps it.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.running()?), stopped)?;
        Ok(())
    }

    /// SIGCONT: it goes on as if no time had passed.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn cont(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for its end. Its standard input stays open, so a worker that waits for that does not
    /// end by this.
    ///
    /// # Errors
    ///
    /// It did not end within `deadline` ([`io::ErrorKind::TimedOut`]).
    pub async fn wait(&mut self, deadline: Duration) -> io::Result<ExitStatus> {
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, format!("the worker runs on after {deadline:?}"));
        let status =
            tokio::time::timeout(deadline, self.child.wait()).await.unwrap_or_else(|_| Err(late()))?;
        self.guardian.dismiss();
        Ok(status)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.running()?, signal)?)
    }

    fn running(&self) -> io::Result<Pid> {
        // None once it was awaited: its number may be another's by then.
        let running = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        running.ok_or_else(|| io::Error::other(format!("worker {} has ended", self.pid)))
    }
}
