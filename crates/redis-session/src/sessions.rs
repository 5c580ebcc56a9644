//! Sessions.

use crate::error::Error;
use crate::id::SessionId;
use crate::options::Options;
use crate::{keys, scripts, value};
use redis_patterns_core::until_answered;
use redis_patterns_core::{Codec, Error as RedisError, ErrorKind, Executed, Json, Redis};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// Whether a session was updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session that is gone was not updated"]
pub enum Update {
    /// It holds the new value, and its idle time starts anew.
    Updated,
    /// It was revoked or has expired, and stays so: nothing was written. Send no cookie.
    Gone,
}

/// Whether a session has another id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the old id is gone, and this is the only place of the new one"]
pub enum Rotation {
    /// It has this one, which goes into the user's cookie.
    Rotated(SessionId),
    /// It was revoked or has expired, and stays so: nothing was written. Send no cookie.
    Gone,
}

/// What a revocation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The session was there and is gone.
    Revoked,
    /// It was gone already.
    AlreadyGone,
}

/// Sessions that hold a `T`; cheap to clone.
///
/// ```no_run
/// # async fn example(redis: redis_session::Redis) -> Result<(), redis_session::Error> {
/// use redis_session::{Sessions, Update};
///
/// let sessions = Sessions::<String>::new(redis);
/// let id = sessions.create(&"ann".to_owned()).await?;
/// assert_eq!(sessions.load(&id).await?.as_deref(), Some("ann"));
/// sessions.revoke(&id).await?;
/// assert_eq!(sessions.update(&id, &"bob".to_owned()).await?, Update::Gone);
/// assert_eq!(sessions.load(&id).await?, None);
/// # Ok(())
/// # }
/// ```
pub struct Sessions<T, C = Json> {
    redis: Redis,
    options: Options,
    codec: C,
    holds: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> Sessions<T> {
    /// A store with the defaults of [`Options`], whose values are JSON.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, options: Options::new(), codec: Json, holds: PhantomData }
    }

    /// A store with other settings.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a time below a millisecond or above 2^40 milliseconds (34 years), or a
    /// share above 100 percent.
    pub fn with_options(redis: Redis, options: Options) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { redis, options, codec: Json, holds: PhantomData })
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Sessions<T, C> {
    /// The same store with values in another encoding. Sessions written in one cannot be read in
    /// the other.
    #[must_use]
    pub fn with_codec<D: Codec>(self, codec: D) -> Sessions<T, D> {
        Sessions { redis: self.redis, options: self.options, codec, holds: PhantomData }
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Begins a session and answers its id, which goes into the user's cookie. One round trip.
    ///
    /// # A new id at every log-in
    ///
    /// Never put a logged-in user into a session whose id existed before: whoever planted that id
    /// would be logged in too. [Rotate](Self::rotate) it, or create another and revoke the old one.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer or the value has no encoding.
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
        let key = keys::session(self.redis.namespace(), &id);
        let sealed = value::seal(&self.codec, value)?;
        if scripts::create(&self.redis, &key, sealed, &self.options).await? {
            return Ok(id);
        }
        let what = "a new random id was taken: the random numbers of this machine repeat";
        Err(RedisError::new(ErrorKind::Config, Executed::No, "session/create", what).into())
    }

    /// The session's value, or `None` if it was never there, was revoked or has expired. Its idle
    /// time starts anew if a [share](Options::touch_after_percent) of it has passed, but never goes
    /// past the deadline. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer, or what is stored is no `T`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: at most the idle time starts anew.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all.
    pub async fn load(&self, id: &SessionId) -> Result<Option<T>, Error> {
        let key = keys::session(self.redis.namespace(), id);
        let stored = until_answered(|| scripts::load(&self.redis, &key, &self.options)).await?;
        Ok(stored.map(|bytes| value::open(&self.codec, bytes)).transpose()?)
    }

    /// Replaces the session's value if the session is still there; its idle time starts anew. It
    /// never creates one: a log-out is not undone by a request that was under way. One round trip.
    ///
    /// # The last writer wins
    ///
    /// Two requests that load, change and update at the same time lose one of the changes.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be replaced.
    ///
    /// # If the reply is lost
    ///
    /// The value may be replaced. It is not sent again, since a later update may stand there now.
    pub async fn update(&self, id: &SessionId, value: &T) -> Result<Update, Error> {
        let key = keys::session(self.redis.namespace(), id);
        let sealed = value::seal(&self.codec, value)?;
        let updated = scripts::update(&self.redis, &key, sealed, &self.options).await?;
        Ok(if updated { Update::Updated } else { Update::Gone })
    }

    /// Gives the session another id and another value, as at a log-in, a log-out into an anonymous
    /// session, or a step-up: the old id is gone at the same moment, and whoever knew it has
    /// nothing. The deadline stays. One round trip.
    ///
    /// # Requests under way
    ///
    /// Those with the old id find the session gone, and must send no cookie then; a log-out among
    /// them finds nothing to end. There is no time of grace: it would keep a planted id alive
    /// across the log-in.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the session may have an id that nobody knows, and ends with its idle time.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the second run finds the new id in its place.
    pub async fn rotate(&self, id: &SessionId, value: &T) -> Result<Rotation, Error> {
        let renewed = id.renewed()?;
        let namespace = self.redis.namespace();
        let (old, new) = (keys::session(namespace, id), keys::session(namespace, &renewed));
        let sealed = value::seal(&self.codec, value)?;
        let rotated =
            until_answered(|| scripts::rotate(&self.redis, &old, &new, sealed.clone(), &self.options))
                .await?;
        Ok(if rotated { Rotation::Rotated(renewed) } else { Rotation::Gone })
    }

    /// Ends the session: once this is answered, no load succeeds and no update brings it back.
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer: the session may still be there, so do not tell
    /// the user that they are logged out.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all; the answer may then be [`Revocation::AlreadyGone`].
    pub async fn revoke(&self, id: &SessionId) -> Result<Revocation, Error> {
        let (redis, key) = (self.redis.clone(), keys::session(self.redis.namespace(), id));
        let deletion =
            self.redis.detach(async move { until_answered(|| scripts::delete(&redis, &key)).await });
        let stopped = |_| {
            let what = "the runtime is shutting down";
            RedisError::new(ErrorKind::Closed, Executed::Maybe, "session/revoke", what)
        };
        let was_there = deletion.await.map_err(stopped)??;
        Ok(if was_there { Revocation::Revoked } else { Revocation::AlreadyGone })
    }
}

impl<T, C: Clone> Clone for Sessions<T, C> {
    fn clone(&self) -> Self {
        Self {
            redis: self.redis.clone(),
            options: self.options.clone(),
            codec: self.codec.clone(),
            holds: PhantomData,
        }
    }
}

impl<T, C> fmt::Debug for Sessions<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("redis", &self.redis)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
