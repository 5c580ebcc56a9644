//! Records what was tried and what came of it, so that a checker can judge the run afterwards.
//!
//! Each call is an *invoke*, and later one outcome: *ok* (it happened), *fail* (it did not), or
//! *info* (nobody knows: a lost reply, a deadline). An invoke without an outcome, as a killed
//! process leaves behind, is read as an info that returns at the end of time: it may happen at any
//! moment after the invoke.

mod event;
mod json;

pub use event::{Event, Kind, Operation, Summary, operations};

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A recorder. Clones write to the same history, and so does every process that appends to the same
/// file.
#[derive(Debug, Clone)]
pub struct History {
    sink: Arc<Sink>,
    calls: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Sink {
    Memory(Mutex<Vec<Event>>),
    File { file: File, path: PathBuf },
}

impl History {
    /// A history of this process alone.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::of(Sink::Memory(Mutex::default()))
    }

    /// A history in a file that several processes append to, each event in one write: a kill loses
    /// none that was recorded.
    ///
    /// # Errors
    ///
    /// The file cannot be opened; the error names it.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).read(true).open(path);
        let file = file.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        Ok(Self::of(Sink::File { file, path: path.to_owned() }))
    }

    fn of(sink: Sink) -> Self {
        // The upper half is the process, so that calls of several processes do not meet in one
        // file.
        let first = u64::from(std::process::id()) << 32;
        Self { sink: Arc::new(sink), calls: Arc::new(AtomicU64::new(first)) }
    }

    /// Records that `process` (a client: a task or a process, doing one thing at a time) is about
    /// to do `op` with `value`. Call it before sending.
    ///
    /// # Panics
    ///
    /// When the file cannot be written: a run without its record proves nothing.
    #[must_use = "the outcome is recorded on the call"]
    pub fn invoke(&self, process: u64, op: &str, value: &str) -> Call {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call { history: self.clone(), process, op: op.to_owned(), call };
        call.record(Kind::Invoke, value);
        call
    }

    /// Every event by time, open invokes closed with an info.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds a line that is no event (a last line without its end is
    /// left out: its writer was killed within the write).
    pub fn events(&self) -> io::Result<Vec<Event>> {
        match &*self.sink {
            Sink::Memory(events) => {
                Ok(event::close(events.lock().unwrap_or_else(PoisonError::into_inner).clone()))
            }
            Sink::File { path, .. } => read(path),
        }
    }

    /// How many calls were made and how they ended.
    ///
    /// # Errors
    ///
    /// As [`History::events`].
    pub fn summary(&self) -> io::Result<Summary> {
        Ok(Summary::of(&self.events()?))
    }

    fn push(&self, event: Event) {
        match &*self.sink {
            Sink::Memory(events) => {
                events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
            Sink::File { file, path } => {
                // `write` and not `write_all`: in two parts, another process could come between.
                let line = event.to_json() + "\n";
                let mut file: &File = file;
                let written = file.write(line.as_bytes());
                assert!(written.as_ref().is_ok_and(|n| *n == line.len()), "{}: {written:?}", path.display());
            }
        }
    }
}

/// Reads the history that processes wrote to a file, open invokes closed with an info.
///
/// # Errors
///
/// As [`History::events`].
pub fn read(path: &Path) -> io::Result<Vec<Event>> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(named)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let events = whole.lines().enumerate().map(|(i, line)| {
        let bad =
            || io::Error::new(io::ErrorKind::InvalidData, format!("{}:{}: no event", path.display(), i + 1));
        Event::from_json(line).ok_or_else(bad)
    });
    Ok(event::close(events.collect::<io::Result<_>>()?))
}

/// A call under way. Dropped without an outcome it stays open.
#[derive(Debug)]
#[must_use = "record the outcome: ok, fail or info"]
pub struct Call {
    history: History,
    process: u64,
    op: String,
    call: u64,
}

impl Call {
    /// It happened, with this result.
    pub fn ok(self, value: &str) {
        self.record(Kind::Ok, value);
    }

    /// It did not happen and never will.
    pub fn fail(self, why: &str) {
        self.record(Kind::Fail, why);
    }

    /// It may have happened, or may yet.
    pub fn info(self, why: &str) {
        self.record(Kind::Info, why);
    }

    fn record(&self, kind: Kind, value: &str) {
        let (process, call, op) = (self.process, self.call, self.op.clone());
        self.history.push(Event { process, call, kind, op, value: value.to_owned(), at_ns: now_ns() });
    }
}

/// The machine's monotonic clock, the same for all its processes.
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let ns = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(ns).unwrap_or_default()
}
