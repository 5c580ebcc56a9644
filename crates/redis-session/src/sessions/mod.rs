//! Sessions.

mod begin;
mod change;
mod end;
mod list;
mod read;

pub use begin::LogIn;
pub use change::{Rotation, Swap, Update};
pub use end::{Others, Revocation};
pub use list::Device;
pub use read::{Extension, Loaded};

use crate::error::Error;
use crate::id::SessionId;
use crate::keys::SessionKeys;
use crate::options::Options;
use crate::{at_rest, value};
use bytes::Bytes;
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use redis_patterns_core::{Codec, Error as RedisError, ErrorKind, Executed, Redis};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// Sessions that hold a `T`; cheap to clone.
///
/// ```no_run
/// # async fn example(redis: redis_session::Redis) -> Result<(), redis_session::Error> {
/// use redis_session::{LogIn, Login, Sessions, Update};
///
/// let sessions = Sessions::<String>::new(redis);
/// let LogIn::Begun(id) = sessions.log_in(Login::of("42"), &"ann".to_owned()).await? else { return Ok(()) };
/// assert_eq!(sessions.load(&id).await?.as_deref().map(String::as_str), Some("ann"));
/// sessions.revoke_all("42").await?;
/// assert_eq!(sessions.update(&id, &"bob".to_owned()).await?, Update::Gone);
/// assert!(sessions.load(&id).await?.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Sessions<T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    redis: Redis,
    options: Options,
    codec: C,
    holds: PhantomData<fn(T) -> T>,
}

#[cfg(feature = "json")]
impl<T: Serialize + DeserializeOwned> Sessions<T> {
    /// A store with the defaults of [`Options`], whose values are JSON.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, options: Options::new(), codec: Json, holds: PhantomData }
    }

    /// A store with other settings, whose values are JSON.
    ///
    /// # Errors
    ///
    /// As [`Sessions::with_codec`].
    pub fn with_options(redis: Redis, options: Options) -> Result<Self, Error> {
        Self::with_codec(redis, options, Json)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Sessions<T, C> {
    /// A store with values in another encoding. Sessions written in one cannot be read in the other.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a time below a millisecond or above 2^40 milliseconds (34 years), or a
    /// share above 100 percent.
    pub fn with_codec(redis: Redis, options: Options, codec: C) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { redis, options, codec, holds: PhantomData })
    }

    /// The value as it is stored under these keys.
    fn seal(&self, keys: &SessionKeys, value: &T) -> Result<Bytes, Error> {
        let sealed = value::seal(&self.codec, value)?;
        let limit = self.options.largest();
        if sealed.len() > limit {
            return Err(Error::TooLarge { bytes: sealed.len(), limit });
        }
        Ok(at_rest::value_in(&self.options, keys, sealed)?)
    }

    fn open(&self, keys: &SessionKeys, sealed: Bytes) -> Result<T, Error> {
        Ok(value::open(&self.codec, at_rest::value_out(&self.options, keys, sealed)?)?)
    }
}

impl<T, C> Sessions<T, C> {
    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    #[cfg(feature = "tower")]
    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    fn keys(&self, id: &SessionId) -> SessionKeys {
        SessionKeys::of(self.redis.namespace(), id)
    }

    /// Runs a step to its end although the caller goes away.
    async fn finish<R, F>(&self, operation: &'static str, step: F) -> Result<R, Error>
    where
        F: Future<Output = Result<R, Error>> + Send + 'static,
        R: Send + 'static,
    {
        let stopped = |_| {
            let what = "the runtime is shutting down";
            RedisError::new(ErrorKind::Closed, Executed::Maybe, operation, what)
        };
        self.redis.detach(step).await.map_err(stopped)?
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
