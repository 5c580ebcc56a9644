//! The worker's side of the protocol, and the watcher that outlives a killed test.

use std::io::{self, BufRead, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Names the test function that is to act as a worker.
pub(super) const ROLE: &str = "REDIS_PATTERNS_TESTKIT_WORKER";

/// What [`say`] puts before a line: the test runner writes to the same stdout, and not always whole
/// lines.
pub(super) const MARK: &str = "\u{1}say ";

/// Whether this process was started to act as this worker.
#[must_use]
pub fn is_worker(name: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|role| role == name)
}

/// Sends one line to the test, in one write.
///
/// # Panics
///
/// When the test no longer reads: then nobody waits for this worker.
pub fn say(line: &str) {
    let text = format!("\n{MARK}{line}\n");
    let mut out = io::stdout().lock();
    let sent = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    assert!(sent.is_ok(), "the test reads no more: {sent:?}");
}

/// Ends this process when its standard input ends, which the test holds open as long as it lives.
/// Answers the lines that the test sends.
///
/// # Panics
///
/// When no thread can be started.
#[expect(clippy::must_use_candidate, reason = "a worker that gets no orders ignores the lines")]
pub fn exit_when_parent_dies() -> Receiver<String> {
    let (lines, received) = channel();
    let watch = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            // A worker that does not listen still has to be watched.
            _ = lines.send(line);
        }
        std::process::exit(0);
    };
    let thread = std::thread::Builder::new().name("parent watch".to_owned()).spawn(watch);
    assert!(thread.is_ok(), "no thread to watch the parent: {thread:?}");
    received
}

/// A shell that kills one process when our end of its pipe closes: when we die, however we die. It
/// needs no help from the worker, so it also ends one that is stopped.
#[derive(Debug)]
pub(super) struct Guardian(Child);

impl Guardian {
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        // Ctrl-C reaches the whole group; this one has to see the end of its input first.
        let script = "trap '' HUP INT TERM; read -r _; kill -s KILL \"$0\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, &pid.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }

    /// Ends the guard, before the number of the guarded process can be given to another.
    pub(super) fn dismiss(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.dismiss();
    }
}
