//! Sessions that begin: of nobody, and of a user who logs in.

use super::{Revocation, Sessions};
use crate::error::Error;
use crate::id::{Place, SessionId, SessionRef};
use crate::login::Login;
use crate::recorder::Event;
use crate::scripts::{self, Created};
use crate::telemetry::{self, Outcome, told};
use crate::version::Version;
use crate::{at_rest, stored};
use redis_patterns_core::{Codec, Error as RedisError, ErrorKind, Executed};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What became of a log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "this is the only place of the id"]
pub enum LogIn {
    /// The session has this id, which goes into the user's cookie.
    Begun(SessionId),
    /// The user has as many sessions as [allowed](crate::Options::max_sessions): nothing was
    /// written.
    Full,
}

impl<T: Serialize + DeserializeOwned, C: Codec> Sessions<T, C> {
    /// Begins a session of nobody in particular, such as one with a shopping basket, and answers its
    /// id, which goes into the cookie. One round trip.
    ///
    /// # Not for a log-in
    ///
    /// A session that was begun here is in no user's list, and [`revoke_all`](Self::revoke_all) does
    /// not end it: [log in](Self::log_in) instead.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a session that nobody knows may stay until its idle time is over.
    ///
    /// # If the reply is lost
    ///
    /// The same: the id was not handed out, so nobody can use it. Create another.
    pub async fn create(&self, value: &T) -> Result<SessionId, Error> {
        let call = async {
            let id = SessionId::random()?;
            // Nobody's sessions have no limit.
            if self.begin(&id, None, value).await? { Ok(id) } else { Err(taken()) }
        };
        told!("create", call, |_| Outcome::Done)
    }

    /// Begins a session of a user and answers its id, which goes into the cookie. One round trip,
    /// and one more to end the session that it [replaces](Login::replaces).
    ///
    /// # A new id at every log-in
    ///
    /// Whoever planted the id that the browser had before would be logged in too. Put what the old
    /// session held into `value`, and name it in [`Login::replaces`].
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; [`Error::Redis`] if Redis could not answer or the value has no encoding.
    /// If it was the old session that could not be ended, the new one is there all the same, with an
    /// id that nobody knows. If the log-in could not be recorded, the sessions that
    /// [made room](crate::WhenFull::EndOldest) for it have ended all the same.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a session that nobody knows may stay until its idle time is over. What made
    /// room for it has ended, and a [recorder](crate::SessionRecorder) may not have been told.
    ///
    /// # If the reply is lost
    ///
    /// The same: the id was not handed out, so nobody can use it. Log in again.
    pub async fn log_in(&self, login: Login<'_>, value: &T) -> Result<LogIn, Error> {
        let call = async {
            let id = SessionId::in_place(Place::of_user(login.user))?;
            if !self.begin(&id, Some(login), value).await? {
                return Ok(LogIn::Full);
            }
            // Only now: if this process dies here, the user still has the session from before.
            if let Some(old) = login.replaces {
                self.revoke(old).await?;
            }
            Ok(LogIn::Begun(id))
        };
        told!("log_in", call, |answer| match answer {
            LogIn::Begun(_) => Outcome::Done,
            LogIn::Full => Outcome::Refused,
        })
    }

    /// Whether it began; not if the user has as many as allowed.
    async fn begin(&self, id: &SessionId, login: Option<Login<'_>>, value: &T) -> Result<bool, Error> {
        let (keys, device) = (self.keys(id), login.map_or("", |login| login.device));
        let sealed = self.seal(&keys, value)?;
        let told = at_rest::device_in(&self.options, &keys.index, device)?;
        let rest = stored::rest(&Version::random()?, login.is_some(), &told, &sealed);
        let uncounted = login.and_then(|login| login.uncounted).map(SessionId::reference);
        let created =
            scripts::create(&self.redis, &keys, rest, login.is_some(), uncounted, &self.options).await?;
        let ended = match created {
            Created::Begun(ended) => ended,
            Created::Full => return Ok(false),
            Created::Taken => return Err(taken()),
        };
        let (idle, absolute) = (self.options.idle_timeout(), self.options.absolute_timeout());
        let user = login.map(|login| login.user);
        let begun = Event::Begun { session: id.reference(), user, device, idle, absolute };
        // What made room has ended, whether the new session stays or not.
        let recorded = match self.made_room(&ended).await {
            Ok(()) => self.options.told().record(begun).await,
            failed => failed,
        };
        if let Err(error) = recorded {
            // The id was not handed out, so whether this succeeds matters to nobody.
            let _ = scripts::revoke(&self.redis, &keys).await;
            return Err(error);
        }
        Ok(true)
    }

    /// Sessions that were ended for a new one, by their names in the index.
    async fn made_room(&self, ended: &[String]) -> Result<(), Error> {
        telemetry::evicted(ended.len());
        let mut all = Ok(());
        for session in ended.iter().filter_map(|member| SessionRef::parse(member)) {
            let ended = Event::Revoked { session, user: None, met: Revocation::Revoked };
            all = all.and(self.options.told().record(ended).await);
        }
        all
    }
}

fn taken() -> Error {
    let what = "a new random id was taken: the random numbers of this machine repeat";
    RedisError::new(ErrorKind::Config, Executed::No, "session/create", what).into()
}
