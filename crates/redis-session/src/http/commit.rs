//! What becomes of a session once its handler has answered.

use super::cookie::CookieChange;
use super::session::{Found, Session, State};
use crate::error::Error;
use crate::id::SessionId;
use crate::sessions::{Loaded, Rotation, Swap, Update};
use redis_patterns_core::Codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<T, C> Session<T, C>
where
    T: Serialize + DeserializeOwned + Clone + Default,
    C: Codec,
{
    /// The handler has failed: the session is as it was before.
    pub(super) async fn take_back(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        state.ended = false;
        let begun = state.begun.take();
        self.end(begun).await
    }

    /// Nobody waits for the answer: a log-out is made all the same, and a log-in taken back.
    pub(super) async fn abandon(&self) -> Result<(), Error> {
        let state = self.state.lock().await;
        let begun = self.end(state.begun.clone()).await;
        let sent = if state.ended { state.sent.clone() } else { None };
        self.end(sent).await.and(begun)
    }

    /// The handler has answered: writes what it wanted.
    pub(super) async fn commit(&self) -> Result<CookieChange, Error> {
        let mut state = self.state.lock().await;
        if state.ended {
            // Both, although the cookie's may be gone: nobody asked.
            self.end(state.begun.clone()).await?;
            self.end(state.sent.clone()).await?;
            return Ok(CookieChange::Remove);
        }
        if let Some(id) = state.begun.clone() {
            let changed = if state.changes.is_empty() {
                Update::Updated
            } else {
                self.sessions.modify(&id, |value| state.make_changes(value)).await?
            };
            self.end(state.sent.clone()).await?;
            return Ok(match changed {
                Update::Updated => CookieChange::Set(id),
                // The user has ended all of their sessions meanwhile.
                Update::Gone => CookieChange::Keep,
            });
        }
        if let (true, Some(id)) = (state.renewed, state.sent.clone()) {
            return Ok(match self.sessions.rotate_with(&id, |value| state.make_changes(value)).await? {
                Rotation::Rotated(id) => CookieChange::Set(id),
                Rotation::Gone => CookieChange::Keep,
            });
        }
        match (state.sent.clone(), state.value()) {
            (Some(id), _) if !state.changes.is_empty() => {
                self.write(&id, &mut state).await?;
                Ok(CookieChange::Keep)
            }
            (None, Some(value)) => Ok(CookieChange::Set(self.sessions.create(value).await?)),
            _ => Ok(CookieChange::Keep),
        }
    }

    /// In one round trip, if nobody has changed the session since it was loaded.
    async fn write(&self, id: &SessionId, state: &mut State<T>) -> Result<(), Error> {
        if let Found::Value(Loaded { value, version, .. }) = &state.found
            && self.sessions.update_if(id, value, *version).await? != Swap::Changed
        {
            return Ok(());
        }
        match self.sessions.modify(id, |value| state.make_changes(value)).await? {
            Update::Updated | Update::Gone => Ok(()),
        }
    }

    async fn end(&self, id: Option<SessionId>) -> Result<(), Error> {
        if let Some(id) = id {
            let _ = self.sessions.revoke(&id).await?;
        }
        Ok(())
    }
}

impl<T> State<T> {
    fn make_changes(&mut self, value: &mut T) {
        for change in &mut self.changes {
            change(value);
        }
    }
}
