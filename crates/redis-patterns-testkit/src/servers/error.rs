//! What went wrong with a server, and what to do next.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why a server could not be had, asked or controlled.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system or the network refused.
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered a command with an error.
    Server {
        /// The command's name, without its arguments: they may hold a password.
        command: String,
        /// The server's text, which starts with its code (`MOVED`, `NOAUTH`, `ERR`).
        text: String,
    },
    /// A condition did not come true in time.
    Timeout {
        /// What was waited for.
        waited_for: String,
        /// How long.
        waited: Duration,
        /// The last thing that stood in the way, when it is known.
        last: Option<String>,
    },
    /// It cannot be done here.
    Unusable {
        /// What cannot be done and why.
        what: String,
        /// What to do about it.
        next: String,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    pub(crate) fn unusable(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Unusable { what: what.into(), next: next.into() }
    }

    /// The first word of the server's error, such as `MOVED` or `NOAUTH`.
    #[must_use]
    pub fn server_code(&self) -> Option<&str> {
        match self {
            Self::Server { text, .. } => text.split(' ').next(),
            _ => None,
        }
    }

    /// Whether another process took a port between our look and the server's bind.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Server { command, text } => write!(f, "the server refused {command}: {text}"),
            Self::Timeout { waited_for, waited, last } => {
                write!(f, "waited {waited:.1?} for {waited_for}")?;
                last.iter().try_for_each(|last| write!(f, "; last: {last}"))
            }
            Self::Unusable { what, next } => write!(f, "{what}\nNext: {next}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
