//! The pattern in its plainest form: `SET`, `GETEX` and `DEL`, no script.

use crate::error::Error;
use crate::id::SessionId;
use crate::options::check_ttl;
use crate::sessions::{Revocation, Update};
use crate::{keys, scripts, value};
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use redis_patterns_core::{Codec, Error as RedisError, ErrorKind, Executed, Key, Redis, until_answered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Sessions with an idle time and nothing else; cheap to clone.
///
/// Each call is one plain command, for servers where scripts are not allowed and for those who want the least:
/// ids and their hashes are as in [`Sessions`](crate::Sessions), and an update brings nothing back.
///
/// # What is missing
///
/// A session that is used lives for ever: there is no deadline. There are no users, so no list, no
/// limit and no end to all of them; no versions, so the last writer wins; no size limit, no
/// encryption and no rotation. Each load is a write, which is replicated and logged.
///
/// ```no_run
/// # async fn example(redis: redis_session::Redis) -> Result<(), redis_session::Error> {
/// use redis_session::PlainSessions;
/// use std::time::Duration;
///
/// let sessions = PlainSessions::<String>::new(redis, Duration::from_secs(30 * 60))?;
/// let id = sessions.create(&"ann".to_owned()).await?;
/// assert_eq!(sessions.load(&id).await?.as_deref(), Some("ann"));
/// let _ = sessions.revoke(&id).await?;
/// assert_eq!(sessions.load(&id).await?, None);
/// # Ok(())
/// # }
/// ```
pub struct PlainSessions<T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    redis: Redis,
    idle: Duration,
    codec: C,
    holds: PhantomData<fn(T) -> T>,
}

#[cfg(feature = "json")]
impl<T: Serialize + DeserializeOwned> PlainSessions<T> {
    /// Sessions that end `idle` after their last use, whose values are JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a time below a millisecond or above 2^40 milliseconds.
    pub fn new(redis: Redis, idle: Duration) -> Result<Self, Error> {
        Self::with_codec(redis, idle, Json)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> PlainSessions<T, C> {
    /// The same with values in another encoding.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a time below a millisecond or above 2^40 milliseconds.
    pub fn with_codec(redis: Redis, idle: Duration, codec: C) -> Result<Self, Error> {
        check_ttl(idle, "the idle time of a session is 1 to 2^40 milliseconds")?;
        Ok(Self { redis, idle, codec, holds: PhantomData })
    }

    /// Begins a session: `SET NX PX`.
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
    /// The same: the id was not handed out. Create another.
    pub async fn create(&self, value: &T) -> Result<SessionId, Error> {
        let id = SessionId::random()?;
        let sealed = value::seal(&self.codec, value)?;
        if scripts::set(&self.redis, &self.key(&id), sealed, "NX", self.idle).await? {
            return Ok(id);
        }
        let what = "a new random id was taken: the random numbers of this machine repeat";
        Err(RedisError::new(ErrorKind::Config, Executed::No, "session/create", what).into())
    }

    /// What the session holds, if it is there; its idle time begins anew: `GETEX PX`.
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
        let key = self.key(id);
        let stored = until_answered(|| scripts::getex(&self.redis, &key, self.idle)).await?;
        Ok(stored.map(|bytes| value::open(&self.codec, bytes)).transpose()?)
    }

    /// Replaces what the session holds if it is there: `SET XX PX`. The last writer wins.
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
    /// The value may be replaced. It is not sent again.
    pub async fn update(&self, id: &SessionId, value: &T) -> Result<Update, Error> {
        let sealed = value::seal(&self.codec, value)?;
        let there = scripts::set(&self.redis, &self.key(id), sealed, "XX", self.idle).await?;
        Ok(if there { Update::Updated } else { Update::Gone })
    }

    /// Ends the session: `DEL`.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer: the session may still be there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the session may still be there.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all; the answer may then be [`Revocation::AlreadyGone`].
    pub async fn revoke(&self, id: &SessionId) -> Result<Revocation, Error> {
        let key = self.key(id);
        let there = until_answered(|| scripts::delete(&self.redis, &key)).await?;
        Ok(if there { Revocation::Revoked } else { Revocation::AlreadyGone })
    }

    fn key(&self, id: &SessionId) -> Key {
        keys::plain(self.redis.namespace(), id)
    }
}

impl<T, C: Clone> Clone for PlainSessions<T, C> {
    fn clone(&self) -> Self {
        let (redis, codec) = (self.redis.clone(), self.codec.clone());
        Self { redis, idle: self.idle, codec, holds: PhantomData }
    }
}

impl<T, C> fmt::Debug for PlainSessions<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainSessions")
            .field("redis", &self.redis)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
