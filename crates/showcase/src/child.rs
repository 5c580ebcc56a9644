//! The way a process of a run talks to the one that started it: whole lines, both ways.

use redis_patterns_testkit::faults::process::exit_when_parent_dies;
use std::io::Write;
use std::sync::mpsc::Receiver;

/// Orders from the process that started this one, whose end, however it comes, ends this one too.
pub(crate) struct Orders(Receiver<String>);

impl Orders {
    /// Starts to listen.
    pub(crate) fn listen() -> Self {
        Self(exit_when_parent_dies())
    }

    /// Waits for this line.
    pub(crate) async fn wait_for(self, line: &'static str) {
        let heard = move || while self.0.recv().is_ok_and(|said| said != line) {};
        // It ends by the line; a panic in it could only be a missing one.
        let _ = tokio::task::spawn_blocking(heard).await;
    }
}

/// Tells the process that started this one, in one write.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Who no longer listens is gone, and this process soon too.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}
