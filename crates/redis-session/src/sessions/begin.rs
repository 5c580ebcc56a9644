//! Sessions that begin: of nobody, and of a user who logs in.

use super::Sessions;
use crate::error::Error;
use crate::id::{Place, SessionId};
use crate::login::Login;
use crate::scripts::{self, Created};
use crate::stored;
use crate::version::Version;
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
        let id = SessionId::random()?;
        match self.begin(&id, None, value).await? {
            Created::Begun(_) => Ok(id),
            // Nobody's sessions have no limit.
            Created::Taken | Created::Full => Err(taken()),
        }
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
    /// id that nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a session that nobody knows may stay until its idle time is over.
    ///
    /// # If the reply is lost
    ///
    /// The same: the id was not handed out, so nobody can use it. Log in again.
    pub async fn log_in(&self, login: Login<'_>, value: &T) -> Result<LogIn, Error> {
        let id = SessionId::in_place(Place::of_user(login.user))?;
        match self.begin(&id, Some(login.device), value).await? {
            Created::Begun(_) => {}
            Created::Full => return Ok(LogIn::Full),
            Created::Taken => return Err(taken()),
        }
        // Only now: if this process dies here, the user still has the session from before.
        if let Some(old) = login.replaces {
            self.revoke(old).await?;
        }
        Ok(LogIn::Begun(id))
    }

    async fn begin(&self, id: &SessionId, device: Option<&str>, value: &T) -> Result<Created, Error> {
        let sealed = self.seal(value)?;
        let device_bytes = device.unwrap_or_default().as_bytes();
        let rest = stored::rest(&Version::random()?, device.is_some(), device_bytes, &sealed);
        Ok(scripts::create(&self.redis, &self.keys(id), rest, device.is_some(), &self.options).await?)
    }
}

fn taken() -> Error {
    let what = "a new random id was taken: the random numbers of this machine repeat";
    RedisError::new(ErrorKind::Config, Executed::No, "session/create", what).into()
}
