//! Sessions that end.

use super::Sessions;
use crate::error::Error;
use crate::id::{Place, SessionId, SessionRef};
use crate::keys::{self, SessionKeys};
use crate::recorder::Event;
use crate::scripts;
use crate::telemetry::{Outcome, told};
use redis_patterns_core::until_answered;

/// What a revocation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The session was there and is gone.
    Revoked,
    /// It was gone already.
    AlreadyGone,
}

/// What became of the other sessions of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// So many were ended; 0 for a session of nobody.
    Revoked(u64),
    /// The session itself is gone, so nothing was done: whoever asks is not logged in.
    Gone,
}

impl<T, C> Sessions<T, C> {
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
        self.end(self.keys(id), id.reference(), None).await
    }

    /// Ends a session of a user by what names it in [`list`](Self::list). A session of another user
    /// is not found. One round trip.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke`](Self::revoke).
    ///
    /// # If the reply is lost
    ///
    /// As [`revoke`](Self::revoke).
    pub async fn revoke_listed(&self, user: &str, which: SessionRef) -> Result<Revocation, Error> {
        let keys = SessionKeys::in_place(self.redis.namespace(), Place::of_user(user), which);
        self.end(keys, which, Some(user)).await
    }

    /// Ends every session of a user that began before this is answered, as when the password
    /// changes or an account is closed: the next load anywhere finds none of them. It takes one
    /// round trip, however many there are: it is their index that goes, without which none is
    /// valid; their values expire by themselves within the idle time.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer: the sessions may still be there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all, and then ends what began in between as well.
    pub async fn revoke_all(&self, user: &str) -> Result<Revocation, Error> {
        let (redis, index) = (self.redis.clone(), keys::index(self.redis.namespace(), user));
        let (recorder, user) = (self.options.told().clone(), user.to_owned());
        let step = async move {
            let there = until_answered(|| scripts::unlink(&redis, &index)).await?;
            recorder.record(Event::RevokedAll { user: &user }).await?;
            Ok(revocation(there))
        };
        told!("revoke_all", self.finish("session/revoke_all", step), |answer| outcome(*answer))
    }

    /// Ends every other session of this session's user, as "log out all other devices" does; this
    /// one stays. One round trip, however many there are.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once polled, it runs to its end although the future is dropped.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all, and then ends what began in between as well; the number
    /// is that of the last time.
    pub async fn revoke_others(&self, id: &SessionId) -> Result<Others, Error> {
        let (redis, keys) = (self.redis.clone(), self.keys(id));
        let (recorder, kept) = (self.options.told().clone(), id.reference());
        let step = async move {
            let Some(ended) = until_answered(|| scripts::revoke_others(&redis, &keys)).await? else {
                return Ok(Others::Gone);
            };
            recorder.record(Event::RevokedOthers { kept }).await?;
            Ok(Others::Revoked(ended))
        };
        let step = self.finish("session/revoke_others", step);
        told!("revoke_others", step, |answer| Outcome::of(*answer != Others::Gone))
    }

    async fn end(
        &self,
        keys: SessionKeys,
        session: SessionRef,
        user: Option<&str>,
    ) -> Result<Revocation, Error> {
        let (redis, recorder) = (self.redis.clone(), self.options.told().clone());
        let user = user.map(str::to_owned);
        let step = async move {
            let met = revocation(until_answered(|| scripts::revoke(&redis, &keys)).await?);
            // Also if it was gone: the record may have missed the time before.
            recorder.record(Event::Revoked { session, user: user.as_deref(), met }).await?;
            Ok(met)
        };
        told!("revoke", self.finish("session/revoke", step), |answer| outcome(*answer))
    }
}

fn outcome(answer: Revocation) -> Outcome {
    Outcome::of(answer == Revocation::Revoked)
}

fn revocation(was_there: bool) -> Revocation {
    if was_there { Revocation::Revoked } else { Revocation::AlreadyGone }
}
