//! Steps with a number, a name and a time: `[3/9] clippy ... ok 41 s`.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One step under way.
#[derive(Debug)]
pub(crate) struct Step {
    label: String,
    started: Instant,
    clock: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    /// Prints the label; on a terminal the seconds run along, so that long work is seen to live.
    pub(crate) fn begin(label: String) -> Self {
        let started = Instant::now();
        say(&format!("{label} ... "));
        let clock = std::io::stdout().is_terminal().then(|| tick(label.clone(), started));
        Self { label, started, clock }
    }

    /// Ends the line: `ok`, `FAILED` or `skipped`, the time, and a note.
    pub(crate) fn end(mut self, outcome: &str, note: &str) {
        let on_terminal = self.clock.is_some();
        if let Some((stop, clock)) = self.clock.take() {
            drop(stop);
            // A clock that broke has nothing to tell; the step's own outcome counts.
            let _ = clock.join();
        }
        let again = if on_terminal { format!("\r{} ... ", self.label) } else { String::new() };
        let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
        say(&format!("{again}{outcome} {}{note}\n", seconds(self.started.elapsed())));
    }
}

fn tick(label: String, started: Instant) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel();
    let clock = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            say(&format!("\r{label} ... {}", seconds(started.elapsed())));
        }
    });
    (stop, clock)
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    // Nobody listens any more: the exit code still tells how it went.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Whole seconds, as people say them.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
