//! A second record of sessions, in a database, that outlives them.

use crate::error::Error;
use crate::id::{SessionId, SessionRef};
use crate::sessions::Revocation;
use crate::telemetry;
use async_trait::async_trait;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened to sessions. None of it lets anybody use one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A session began.
    #[non_exhaustive]
    Begun {
        /// Which.
        session: SessionRef,
        /// Whose; nobody's if `None`.
        user: Option<&'a str>,
        /// What [`Login::device`](crate::Login::device) said.
        device: &'a str,
        /// In what time it ends if it is not used.
        idle: Duration,
        /// In what time it ends however much it is used.
        absolute: Duration,
    },
    /// Its idle time began anew.
    #[non_exhaustive]
    Touched {
        /// Which.
        session: SessionRef,
        /// In what time it ends if it is not used, if its deadline is not before that.
        idle: Duration,
    },
    /// It has another id; user, device and deadline are those of the old one.
    #[non_exhaustive]
    Rotated {
        /// What it was.
        from: SessionRef,
        /// What it is now.
        to: SessionRef,
        /// As in `Touched`.
        idle: Duration,
    },
    /// It was ended, by its user or to make room. Said again if it is ended twice, and said of names
    /// that no session ever had.
    #[non_exhaustive]
    Revoked {
        /// Which.
        session: SessionRef,
        /// Whose it must be; anybody's if `None`.
        user: Option<&'a str>,
        /// Whether Redis still had it. If not, a revocation before may not have been recorded, or it
        /// has expired.
        met: Revocation,
    },
    /// Every session of a user was ended.
    #[non_exhaustive]
    RevokedAll {
        /// Whose.
        user: &'a str,
    },
    /// Every session of the user of this one was ended, but not itself.
    #[non_exhaustive]
    RevokedOthers {
        /// Which stays.
        kept: SessionRef,
    },
}

/// A place that is told what happens to sessions, beside Redis, which alone says who is logged in.
///
/// It is told after Redis was, and before the caller. A session that could not be recorded as begun
/// is ended again, so none is used that the record does not know. That one expired is not told:
/// Redis tells nobody. It follows from `Begun` and `Touched`, at the latest in the time they name.
///
/// Two events of one user that happen at the same time may be told in another order than they
/// happened in: a session that `revoke_all` ended while its log-in or rotation was being recorded can
/// stay recorded as active until its time is over, and one that was rotated at that moment as
/// revoked although it lives on. What is recorded is history; only Redis says who is logged in.
///
/// Of a call that is not cancel safe and is dropped half-way, or whose reply is lost, nothing may be told.
///
/// The module `sql` (feature `sqlx`) does this for Postgres and SQLite.
#[async_trait]
pub trait SessionRecorder: Send + Sync {
    /// Writes down what happened.
    ///
    /// # Errors
    ///
    /// Those of the record. The caller gets them as [`Error::Recorder`]; of `Touched` they are
    /// counted and dropped, so that a session is used on while a database is away.
    async fn record(&self, event: Event<'_>) -> Result<(), Box<dyn StdError + Send + Sync>>;
}

/// A recorder, or none.
#[derive(Clone, Default)]
pub(crate) struct Recorder(pub(crate) Option<Arc<dyn SessionRecorder>>);

impl Recorder {
    pub(crate) async fn record(&self, event: Event<'_>) -> Result<(), Error> {
        let Some(recorder) = &self.0 else { return Ok(()) };
        recorder.record(event).await.map_err(Error::Recorder)
    }

    /// Writes down that the idle time began anew, if that can be.
    pub(crate) async fn touched(&self, id: &SessionId, idle: Duration) {
        if self.0.is_none() {
            return;
        }
        if self.record(Event::Touched { session: id.reference(), idle }).await.is_err() {
            telemetry::unrecorded();
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Recorder(..)" } else { "None" })
    }
}
