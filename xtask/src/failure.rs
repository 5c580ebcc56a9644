//! How a task fails: one line, and the exit code that says whose fault it was.

use std::fmt;
use std::process::ExitCode;

/// What ended a task early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense. Exit code 2.
    Usage(String),
    /// The task ran and failed; the text says what happened and what to do next. Exit code 1.
    Task(String),
    /// A program we ran has said why already; only its exit code is left to pass on.
    Child(u8),
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn task(text: impl Into<String>) -> Self {
        Self::Task(text.into())
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Task(_) => 1,
            Self::Child(code) => *code,
        }
    }

    /// Prints the line and gives back the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Self::Child(_)) {
            eprintln!("xtask: {self}");
        }
        ExitCode::from(self.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Task(text) => f.write_str(text),
            Self::Child(code) => write!(f, "ended with exit code {code}"),
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(format!("{error}; --help lists the options"))
    }
}

/// Names what was tried when the system says no.
pub(crate) trait Context<T> {
    fn context(self, tried: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, tried: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::task(format!("{tried}: {error}")))
    }
}
