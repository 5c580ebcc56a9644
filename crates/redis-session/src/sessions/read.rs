//! Sessions that are used.

use super::Sessions;
use crate::error::Error;
use crate::id::SessionId;
use crate::keys::SessionKeys;
use crate::scripts::{self, Touch};
use crate::stored::Stored;
use crate::telemetry::{Outcome, told};
use crate::version::Version;
use bytes::Bytes;
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
        let call = async {
            let keys = self.keys(id);
            let Some((touched, bytes)) = self.touch(id, &keys, Touch::AfterItsShare).await? else {
                return Ok(None);
            };
            let stored = Stored::parse(bytes)?;
            Ok(Some(Loaded { value: self.open(&keys, stored.value)?, version: stored.version, touched }))
        };
        told!("load", call, |found| Outcome::of(found.is_some()))
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
        let call = async {
            let found = self.touch(id, &self.keys(id), Touch::AtOnce).await?;
            Ok(found.map_or(Extension::Gone, |_| Extension::Extended))
        };
        told!("extend", call, |answer| Outcome::of(*answer == Extension::Extended))
    }

    async fn touch(
        &self,
        id: &SessionId,
        keys: &SessionKeys,
        touch: Touch,
    ) -> Result<Option<(bool, Bytes)>, Error> {
        let found = until_answered(|| scripts::load(&self.redis, keys, &self.options, touch)).await?;
        if let Some((true, _)) = found {
            self.options.told().touched(id, self.options.idle_timeout()).await;
        }
        Ok(found)
    }
}
