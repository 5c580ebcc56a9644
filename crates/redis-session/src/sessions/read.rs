//! Sessions that are used.

use super::Sessions;
use crate::error::Error;
use crate::id::SessionId;
use crate::scripts::{self, Touch};
use crate::stored::Stored;
use crate::version::Version;
use redis_patterns_core::{Codec, until_answered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Deref;

/// A session as it was when it was loaded; it derefs to its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<T> {
    /// What it holds.
    pub value: T,
    /// Which state this is, for [`Sessions::update_if`].
    pub version: Version,
    /// Whether its idle time began anew: time to send the cookie again, if it has a `Max-Age`.
    pub touched: bool,
}

impl<T> Deref for Loaded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Whether a session lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session that is gone was not extended"]
pub enum Extension {
    /// Its idle time began anew, but never goes past its deadline.
    Extended,
    /// It was revoked or has expired.
    Gone,
}

impl<T: Serialize + DeserializeOwned, C: Codec> Sessions<T, C> {
    /// The session, or `None` if it was never there, was revoked or has expired. Its idle time
    /// starts anew if a [share](crate::Options::touch_after_percent) of it has passed, but never
    /// goes past the deadline. One round trip.
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
    pub async fn load(&self, id: &SessionId) -> Result<Option<Loaded<T>>, Error> {
        let keys = self.keys(id);
        let load = || scripts::load(&self.redis, &keys, &self.options, Touch::AfterItsShare);
        let Some((touched, bytes)) = until_answered(load).await? else { return Ok(None) };
        let stored = Stored::parse(bytes)?;
        Ok(Some(Loaded { value: self.open(stored.value)?, version: stored.version, touched }))
    }

    /// Starts the session's idle time anew at once, as when a page that stays open says that its
    /// reader is still there. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: at most the idle time starts anew.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all.
    pub async fn extend(&self, id: &SessionId) -> Result<Extension, Error> {
        let keys = self.keys(id);
        let load = || scripts::load(&self.redis, &keys, &self.options, Touch::AtOnce);
        let found = until_answered(load).await?;
        Ok(found.map_or(Extension::Gone, |_| Extension::Extended))
    }
}
