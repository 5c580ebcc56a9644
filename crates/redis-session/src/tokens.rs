//! One-time tokens: magic links, e-mail verification, password reset.

use crate::error::Error;
use crate::id::OneTimeToken;
use crate::options::{Purpose, check_ttl};
use crate::{keys, scripts, value};
use redis_patterns_core::{Error as RedisError, ErrorKind, Executed, Json, Redis};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Tokens of one purpose that hold a `T` and can be used once; cheap to clone.
///
/// # Not by a GET
///
/// Mail scanners follow links. Let the link show a page, and consume the token when the page's form
/// is sent (POST).
///
/// ```no_run
/// # async fn example(redis: redis_session::Redis) -> Result<(), redis_session::Error> {
/// use redis_session::{OneTimeToken, OneTimeTokens, Purpose};
/// use std::time::Duration;
///
/// const RESET: Purpose = Purpose::new("password-reset");
/// let resets = OneTimeTokens::<u64>::new(redis, RESET, Duration::from_secs(15 * 60))?;
///
/// let link = format!("https://example.com/reset?token={}", resets.issue(&42).await?.expose());
/// # let sent = link.rsplit('=').next().unwrap();
/// let token = OneTimeToken::parse(sent).unwrap();
/// assert_eq!(resets.consume(&token).await?, Some(42));
/// assert_eq!(resets.consume(&token).await?, None);
/// # Ok(())
/// # }
/// ```
pub struct OneTimeTokens<T> {
    redis: Redis,
    purpose: Purpose,
    ttl: Duration,
    holds: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> OneTimeTokens<T> {
    /// Tokens for `purpose` that expire after `ttl`: at most 10 min for what goes by another
    /// channel at log-in (ASVS 5.0, 6.5.5), 15 to 60 min for links, a day to verify an address.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a `ttl` below a millisecond or above 2^40 milliseconds.
    pub fn new(redis: Redis, purpose: Purpose, ttl: Duration) -> Result<Self, Error> {
        check_ttl(ttl, "the life of a token is 1 to 2^40 milliseconds")?;
        Ok(Self { redis, purpose, ttl, holds: PhantomData })
    }

    /// A new token that holds `value`. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a token that nobody knows may stay until it expires.
    ///
    /// # If the reply is lost
    ///
    /// The same: the token was not handed out, so nobody can use it. Issue another.
    pub async fn issue(&self, value: &T) -> Result<OneTimeToken, Error> {
        let token = OneTimeToken::random()?;
        let key = keys::token(self.redis.namespace(), self.purpose, &token);
        if scripts::put_new(&self.redis, &key, value::seal(&Json, value)?, self.ttl).await? {
            return Ok(token);
        }
        let what = "a new random token was taken: the random numbers of this machine repeat";
        Err(RedisError::new(ErrorKind::Config, Executed::No, "token/issue", what).into())
    }

    /// The value of the token, for the first who brings it; `None` for everybody else, and for a
    /// token that is unknown, expired or of another purpose. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer, or what was stored is no `T`: the token is
    /// consumed then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the token may be consumed and its value lost.
    ///
    /// # If the reply is lost
    ///
    /// The token may be consumed and its value lost; nobody else gets it either. It is not sent
    /// again. The user needs a new token.
    pub async fn consume(&self, token: &OneTimeToken) -> Result<Option<T>, Error> {
        let key = keys::token(self.redis.namespace(), self.purpose, token);
        let stored = scripts::take(&self.redis, &key).await?;
        Ok(stored.map(|bytes| value::open(&Json, bytes)).transpose()?)
    }

    /// What the tokens are for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
}

impl<T> Clone for OneTimeTokens<T> {
    fn clone(&self) -> Self {
        Self { redis: self.redis.clone(), purpose: self.purpose, ttl: self.ttl, holds: PhantomData }
    }
}

impl<T> fmt::Debug for OneTimeTokens<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTimeTokens")
            .field("redis", &self.redis)
            .field("purpose", &self.purpose)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
