//! What failed, whether it may have been applied, and what to do next.

use std::borrow::Cow;
use std::error::Error as StdError;

/// Whether the server may have executed the operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Executed {
    /// Nothing was applied: sending the same operation again is safe.
    No,
    /// It may have been applied: the command left this process and no usable reply came back.
    /// Sending it again is safe only if the operation is idempotent by a request token.
    Maybe,
}

/// The kinds of failure a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL or an option is wrong.
    Config,
    /// An argument of the call is out of its range; nothing was sent.
    Input,
    /// No connection could be made within the connect deadline.
    Connect,
    /// The server refused the user name or password.
    Auth,
    /// The server is older than Redis 7.0 or Valkey 7.2.
    ServerTooOld,
    /// The client was disconnected or its buffer full; nothing was sent.
    NotSent,
    /// No reply came within the command deadline.
    Timeout,
    /// The connection was lost while the reply was awaited.
    ConnectionLost,
    /// The server answered with an error; [`Error::code`] has its first word.
    Server,
    /// A script failed while it ran, which is a bug: earlier writes of the script stay.
    Script,
    /// The reply has a shape that the caller does not expect.
    Reply,
    /// A value could not be encoded or decoded.
    Codec,
    /// The handle was closed.
    Closed,
}

/// The failure of one operation on Redis.
///
/// It never holds a password, a key, an argument or a stored value: only the name of the
/// operation, the server's error text, and what follows from it.
///
/// ```
/// use redis_patterns_core::{Error, ErrorKind, Executed};
///
/// let error = Error::input("lock/acquire", "the lease must be at least one millisecond");
/// assert_eq!(error.kind(), ErrorKind::Input);
/// assert_eq!(error.executed(), Executed::No);
/// assert!(error.to_string().contains("it was not applied"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{}: {}{}", .0.operation, .0.what, .0.advice())]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    executed: Executed,
    operation: &'static str,
    what: Cow<'static, str>,
    next: &'static str,
    code: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Inner {
    /// What follows from the failure, as the end of a sentence; a failure to connect needs no
    /// word on whether it was applied.
    fn advice(&self) -> String {
        let connecting = matches!(
            self.kind,
            ErrorKind::Config | ErrorKind::Connect | ErrorKind::Auth | ErrorKind::ServerTooOld
        );
        let applied = match self.executed {
            Executed::No if connecting => "",
            Executed::No => "it was not applied",
            Executed::Maybe => "it may have been applied",
        };
        let parts = [applied, self.next].into_iter().filter(|part| !part.is_empty());
        parts.map(|part| format!("; {part}")).collect()
    }
}

impl Error {
    /// An error of `kind` raised by `operation`, with the text `what`.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        executed: Executed,
        operation: &'static str,
        what: impl Into<Cow<'static, str>>,
    ) -> Self {
        let inner =
            Inner { kind, executed, operation, what: what.into(), next: "", code: None, source: None };
        Self(Box::new(inner))
    }

    /// An argument that is out of its range; nothing was sent.
    #[must_use]
    pub fn input(operation: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Input, Executed::No, operation, what)
    }

    /// A reply whose shape the caller does not expect; the operation ran.
    #[must_use]
    pub fn reply(operation: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Reply, Executed::Maybe, operation, what)
            .with_next("the stored value was written by another version or another program")
    }

    /// A value that could not be encoded or decoded. The cause may quote the value, so only
    /// its own text, chosen by the caller, is kept.
    #[must_use]
    pub fn codec(operation: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Codec, Executed::No, operation, what)
    }

    /// The same error with the next step for whoever reads it.
    #[must_use]
    pub fn with_next(mut self, next: &'static str) -> Self {
        self.0.next = next;
        self
    }

    pub(crate) fn with_code(mut self, code: &str) -> Self {
        self.0.code = Some(code.to_owned());
        self
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the operation may have been applied.
    #[must_use]
    pub fn executed(&self) -> Executed {
        self.0.executed
    }

    /// The operation that failed: a command (`SET`) or a script (`lock/acquire`).
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The first word of the server's error (`OOM`, `READONLY`, ...), if the server answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The error that caused this one, if another library raised it.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Whether the same operation can be sent again at once without being applied twice.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        self.0.executed == Executed::No && self.is_passing()
    }

    /// Whether the failure is one that tends to pass: a lost connection, a failover, a moving slot.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self.0.kind {
            ErrorKind::NotSent | ErrorKind::Timeout | ErrorKind::ConnectionLost => true,
            ErrorKind::Connect => true,
            ErrorKind::Server => matches!(
                self.code(),
                Some("TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "READONLY" | "MOVED" | "ASK")
            ),
            _ => false,
        }
    }

    /// Whether Redis could not be reached or did not answer in time, as opposed to an answer
    /// that says no or an argument that is wrong. A caller's fail-open policy asks this.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.is_passing() || matches!(self.code(), Some("OOM" | "MISCONF" | "NOREPLICAS" | "BUSY"))
    }
}
