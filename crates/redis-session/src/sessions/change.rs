//! Sessions that change: their value, and their id.

use super::Sessions;
use crate::error::Error;
use crate::id::SessionId;
use crate::recorder::Event;
use crate::scripts::{self, Replaced};
use crate::telemetry::{Outcome, told};
use crate::version::Version;
use redis_patterns_core::{Backoff, Codec, until_answered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Tries of [`Sessions::modify`]: of those that meet, one gets through each time, so a browser would
/// have to change its session with this many requests at once.
const TRIES: u32 = 32;
const WAITS: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(50));

/// Whether a session was updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session that is gone was not updated"]
pub enum Update {
    /// It holds the new value, and its idle time starts anew.
    Updated,
    /// It was revoked or has expired, and stays so: nothing was written. Send no cookie.
    Gone,
}

/// Whether a session was updated that somebody else may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session that is gone or was changed was not updated"]
pub enum Swap {
    /// It holds the new value and has this version, and its idle time starts anew.
    Swapped(Version),
    /// It has another version: nothing was written. Load it and decide anew.
    Changed,
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

impl<T: Serialize + DeserializeOwned, C: Codec> Sessions<T, C> {
    /// Replaces the session's value if the session is still there; its idle time starts anew. It
    /// never creates one: a log-out is not undone by a request that was under way. One round trip.
    ///
    /// # The last writer wins
    ///
    /// Two requests that load, change and update at the same time lose one of the changes:
    /// [`modify`](Self::modify) loses none.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be replaced.
    ///
    /// # If the reply is lost
    ///
    /// The value may be replaced. It is not sent again, since a later update may stand there now.
    pub async fn update(&self, id: &SessionId, value: &T) -> Result<Update, Error> {
        let call = async {
            let (keys, version) = (self.keys(id), Version::random()?);
            let sealed = self.seal(&keys, value)?;
            let replaced = scripts::update(&self.redis, &keys, sealed, None, &version, &self.options).await?;
            self.lives_on(id, &replaced).await;
            // No version was expected, so there is no other.
            Ok(if replaced == Replaced::Yes { Update::Updated } else { Update::Gone })
        };
        told!("update", call, |answer| Outcome::of(*answer == Update::Updated))
    }

    /// Replaces the session's value if it still has the version that was loaded; its idle time
    /// starts anew. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be replaced.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the second run finds its own version there. If another
    /// update came in between, it answers [`Swap::Changed`] although the value stood there.
    pub async fn update_if(&self, id: &SessionId, value: &T, expected: Version) -> Result<Swap, Error> {
        let call = async {
            let (keys, version) = (self.keys(id), Version::random()?);
            let sealed = self.seal(&keys, value)?;
            let step = || {
                scripts::update(&self.redis, &keys, sealed.clone(), Some(&expected), &version, &self.options)
            };
            let replaced = until_answered(step).await?;
            self.lives_on(id, &replaced).await;
            Ok(match replaced {
                Replaced::Yes => Swap::Swapped(version),
                Replaced::Changed => Swap::Changed,
                Replaced::Gone => Swap::Gone,
            })
        };
        told!("update_if", call, |answer| match answer {
            Swap::Swapped(_) => Outcome::Done,
            Swap::Changed => Outcome::Refused,
            Swap::Gone => Outcome::Gone,
        })
    }

    /// Loads the session, changes its value and writes it back, again if others wrote in between: of
    /// requests that change different fields at the same time, all keep theirs. Two round trips, and
    /// two more each time that others were faster.
    ///
    /// # More than once
    ///
    /// `change` runs again on the newer value each time: let it say what is to be different
    /// (`cart.push(..)`), not bring a value that was computed before. It is not written if `change`
    /// left it equal only by chance: each run writes.
    ///
    /// # Errors
    ///
    /// [`Error::Contended`] if others were faster 32 times; [`Error::TooLarge`]; [`Error::Redis`] if
    /// Redis could not answer, what is stored is no `T`, or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the value may be replaced.
    ///
    /// # If the reply is lost
    ///
    /// As [`update_if`](Self::update_if): if another update came in between, `change` runs once more
    /// on a value that it changed before.
    pub async fn modify(&self, id: &SessionId, mut change: impl FnMut(&mut T)) -> Result<Update, Error> {
        for tried in 0..TRIES {
            let Some(mut loaded) = self.load(id).await? else { return Ok(Update::Gone) };
            change(&mut loaded.value);
            match self.update_if(id, &loaded.value, loaded.version).await? {
                Swap::Swapped(_) => return Ok(Update::Updated),
                Swap::Gone => return Ok(Update::Gone),
                Swap::Changed => tokio::time::sleep(WAITS.delay(tried)).await,
            }
        }
        Err(Error::Contended(TRIES))
    }

    /// Gives the session another id and another value, as at a step-up or from time to time: the old
    /// id is gone at the same moment, and whoever knew it has nothing. Deadline, user and device
    /// stay. One round trip.
    ///
    /// # Not for a log-in
    ///
    /// Nobody's session stays nobody's: [log in](Self::log_in) instead, which begins one of the user.
    ///
    /// # The last writer wins
    ///
    /// A change that another request makes between the load of `value` and this is lost:
    /// [`rotate_with`](Self::rotate_with) loses none.
    ///
    /// # Requests under way
    ///
    /// Those with the old id find the session gone, and must send no cookie then; a log-out among
    /// them finds nothing to end. There is no time of grace: it would keep a planted id alive
    /// across the step-up.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; [`Error::Redis`] if Redis could not answer or the value has no encoding;
    /// [`Error::Recorder`]: the session has then been ended, since Redis had its new id alone, and its
    /// user has to log in again.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the session may have an id that nobody knows, and ends with its idle time.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the second run finds the new id in its place.
    pub async fn rotate(&self, id: &SessionId, value: &T) -> Result<Rotation, Error> {
        let call = async {
            // No version is expected, so there is no other.
            let rotation = self.rotate_from(id, value, None).await?;
            Ok(rotation.unwrap_or(Rotation::Gone))
        };
        told!("rotate", call, |answer| Outcome::of(*answer != Rotation::Gone))
    }

    /// Loads the session, changes its value and gives it another id, again if others wrote in
    /// between: [`modify`](Self::modify) and [`rotate`](Self::rotate) in one, of whose changes none is
    /// lost. Two round trips, and two more each time that others were faster.
    ///
    /// # Errors
    ///
    /// As [`modify`](Self::modify) and [`rotate`](Self::rotate).
    ///
    /// # Cancel safety
    ///
    /// As [`rotate`](Self::rotate).
    ///
    /// # If the reply is lost
    ///
    /// As [`rotate`](Self::rotate).
    pub async fn rotate_with(
        &self,
        id: &SessionId,
        mut change: impl FnMut(&mut T),
    ) -> Result<Rotation, Error> {
        let call = async {
            for tried in 0..TRIES {
                let Some(mut loaded) = self.load(id).await? else { return Ok(Rotation::Gone) };
                change(&mut loaded.value);
                match self.rotate_from(id, &loaded.value, Some(&loaded.version)).await? {
                    Some(rotation) => return Ok(rotation),
                    None => tokio::time::sleep(WAITS.delay(tried)).await,
                }
            }
            Err(Error::Contended(TRIES))
        };
        told!("rotate", call, |answer| Outcome::of(*answer != Rotation::Gone))
    }

    /// `None` if it has another version than was expected.
    async fn rotate_from(
        &self,
        id: &SessionId,
        value: &T,
        expected: Option<&Version>,
    ) -> Result<Option<Rotation>, Error> {
        let (renewed, version) = (id.renewed()?, Version::random()?);
        let (keys, renamed) = (self.keys(id), self.keys(&renewed));
        let sealed = self.seal(&renamed, value)?;
        let step = || {
            scripts::rotate(&self.redis, &keys, &renamed, sealed.clone(), expected, &version, &self.options)
        };
        match until_answered(step).await? {
            Replaced::Yes => {}
            Replaced::Changed => return Ok(None),
            Replaced::Gone => return Ok(Some(Rotation::Gone)),
        }
        let (from, to, idle) = (id.reference(), renewed.reference(), self.options.idle_timeout());
        if let Err(error) = self.options.told().record(Event::Rotated { from, to, idle }).await {
            // Nobody knows the id, and it would take one of the user's places until its time is over.
            let _ = scripts::revoke(&self.redis, &renamed).await;
            return Err(error);
        }
        Ok(Some(Rotation::Rotated(renewed)))
    }

    async fn lives_on(&self, id: &SessionId, replaced: &Replaced) {
        if *replaced == Replaced::Yes {
            self.options.told().touched(id, self.options.idle_timeout()).await;
        }
    }
}
