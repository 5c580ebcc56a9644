//! What a handler has of a session.

use crate::error::Error;
use crate::id::SessionId;
use crate::login::Login;
use crate::sessions::{Loaded, LogIn, Sessions};
use redis_patterns_core::Codec;
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// One request's view of its session; cheap to clone, all clones are one. See
/// [the module](crate::http) for what becomes of it.
///
/// ```no_run
/// # #[cfg(feature = "axum")]
/// # mod example {
/// use axum::http::StatusCode;
/// use redis_session::http::Session;
/// use redis_session::{LogIn, Login};
///
/// #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// struct Visitor {
///     name: String,
///     basket: Vec<String>,
/// }
///
/// async fn buy(session: Session<Visitor>, item: String) -> Result<(), StatusCode> {
///     let added = session.change(move |visitor| visitor.basket.push(item.clone())).await;
///     added.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
/// }
///
/// async fn log_in(session: Session<Visitor>) -> Result<StatusCode, redis_session::Error> {
///     // The password was right. What the visitor had goes along.
///     let basket = session.get().await?.unwrap_or_default().basket;
///     let ann = Visitor { name: "ann".to_owned(), basket };
///     Ok(match session.log_in(Login::of("ann"), ann).await? {
///         LogIn::Begun(_) => StatusCode::OK,
///         LogIn::Full => StatusCode::CONFLICT,
///     })
/// }
/// # }
/// ```
pub struct Session<T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    pub(super) sessions: Sessions<T, C>,
    pub(super) state: Arc<Mutex<State<T>>>,
}

/// A change that can be made again over a newer value.
pub(super) type Change<T> = Box<dyn FnMut(&mut T) + Send>;

/// What a request has found and wants.
pub(super) struct State<T> {
    /// What its cookie says, until it is known to be gone.
    pub(super) sent: Option<SessionId>,
    pub(super) found: Found<T>,
    /// Made to the value here already, and to be made to the stored one.
    pub(super) changes: Vec<Change<T>>,
    pub(super) begun: Option<SessionId>,
    pub(super) renewed: bool,
    pub(super) ended: bool,
}

/// What Redis said of the session.
pub(super) enum Found<T> {
    NotAsked,
    Nothing,
    Value(Loaded<T>),
    /// That of a log-in or of a session that is to begin, as the request knows it.
    Own(T),
}

impl<T, C> Session<T, C>
where
    T: Serialize + DeserializeOwned + Clone + Default,
    C: Codec,
{
    pub(super) fn new(sessions: Sessions<T, C>, sent: Option<SessionId>) -> Self {
        let (found, changes) = (Found::NotAsked, Vec::new());
        let state = State { sent, found, changes, begun: None, renewed: false, ended: false };
        Self { sessions, state: Arc::new(Mutex::new(state)) }
    }

    /// The value, with the changes of this request; `None` without a session. The first look is one
    /// round trip.
    ///
    /// # Errors
    ///
    /// As [`Sessions::load`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: at most the idle time starts anew.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all.
    pub async fn get(&self) -> Result<Option<T>, Error> {
        let mut state = self.state.lock().await;
        self.find(&mut state).await?;
        Ok(state.value().cloned())
    }

    /// The id, if there is a session: for [`Sessions::revoke_others`] and to mark this device in a
    /// list. The first look is one round trip.
    ///
    /// # Errors
    ///
    /// As [`Sessions::load`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: at most the idle time starts anew.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all.
    pub async fn id(&self) -> Result<Option<SessionId>, Error> {
        let mut state = self.state.lock().await;
        self.find(&mut state).await?;
        Ok(if state.ended { None } else { state.begun.clone().or_else(|| state.sent.clone()) })
    }

    /// Changes the value once the handler has answered. Without a session, or with an id that is
    /// [gone](crate::http#a-new-id-beside-another-request), one begins, from the default of `T`. The
    /// first look is one round trip.
    ///
    /// # It may run again
    ///
    /// If another request has changed the session meanwhile, the change is made again, to the newest
    /// value: both are kept. So let it set what it is about, and do nothing else. A clone of this that
    /// outlives the answer changes nothing any more.
    ///
    /// # Errors
    ///
    /// As [`Sessions::load`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is written before the answer.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all.
    pub async fn change(&self, mut change: impl FnMut(&mut T) + Send + 'static) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        self.find(&mut state).await?;
        match &mut state.found {
            Found::Value(loaded) => change(&mut loaded.value),
            Found::Own(value) => change(value),
            Found::NotAsked | Found::Nothing => {
                let mut value = T::default();
                change(&mut value);
                state.found = Found::Own(value);
            }
        }
        state.changes.push(Box::new(change));
        Ok(())
    }

    /// Begins a session of a user, whose id goes into the cookie with the answer; the session that
    /// the browser had ends then. What it held goes along only in `value`. One round trip.
    ///
    /// # Errors
    ///
    /// As [`Sessions::log_in`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a session that nobody knows may stay until its idle time is over. If the
    /// request is dropped later, before its answer, the log-in is taken back.
    ///
    /// # If the reply is lost
    ///
    /// As [`Sessions::log_in`].
    pub async fn log_in(&self, login: Login<'_>, value: T) -> Result<LogIn, Error> {
        let mut state = self.state.lock().await;
        // It ends with the answer.
        let login = state.sent.as_ref().map_or(login, |sent| login.uncounted(sent));
        let answer = self.sessions.log_in(login, &value).await?;
        if let LogIn::Begun(id) = &answer
            && let Some(twice) = state.begun.replace(id.clone())
        {
            let _ = self.sessions.revoke(&twice).await?;
        }
        if matches!(answer, LogIn::Begun(_)) {
            (state.found, state.ended) = (Found::Own(value), false);
            state.changes.clear();
        }
        Ok(answer)
    }

    /// Gives the session another id with the answer, as at each change of what its user may do; the
    /// old one is void. Changes of other requests meanwhile are kept. No round trip here, two with the
    /// answer, and none without a session.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the id is renewed with the answer. If the request is dropped during that, or the
    /// answer is lost, the session may have an id that nobody knows, and its user has to log in again.
    pub async fn renew(&self) {
        self.state.lock().await.renewed = true;
    }

    /// Ends the session with the answer, and removes the cookie. No round trip here.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once this has returned, the session is ended also if the request is dropped before
    /// its answer, as when the client goes away or the handler panics; only an answer of 5xx keeps it.
    pub async fn log_out(&self) {
        let mut state = self.state.lock().await;
        state.ended = true;
        state.changes.clear();
        state.found = Found::Nothing;
    }

    /// Loads the session if nobody has looked yet.
    pub(super) async fn find(&self, state: &mut State<T>) -> Result<(), Error> {
        if !matches!(state.found, Found::NotAsked) {
            return Ok(());
        }
        let loaded = match &state.sent {
            Some(id) => self.sessions.load(id).await?,
            None => None,
        };
        match loaded {
            Some(loaded) => state.found = Found::Value(loaded),
            // What is gone is treated as if it had not been sent.
            None => (state.sent, state.found) = (None, Found::Nothing),
        }
        Ok(())
    }
}

impl<T> State<T> {
    pub(super) fn value(&self) -> Option<&T> {
        match &self.found {
            Found::Value(loaded) => Some(&loaded.value),
            Found::Own(value) => Some(value),
            Found::NotAsked | Found::Nothing => None,
        }
    }
}

impl<T, C: Clone> Clone for Session<T, C> {
    fn clone(&self) -> Self {
        Self { sessions: self.sessions.clone(), state: self.state.clone() }
    }
}

impl<T, C> fmt::Debug for Session<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}
