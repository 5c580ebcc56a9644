//! The settings of the layer.

use super::cookie::{CookieSettings, SameSite};
use super::service::SessionService;
use crate::error::Error;
use crate::sessions::Sessions;
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use std::fmt;
use std::sync::Arc;
use tower_layer::Layer;

/// A layer that hands each request its [`Session`](super::Session); cheap to clone. See
/// [the module](crate::http) for what it stores and answers.
///
/// ```no_run
/// # #[cfg(feature = "axum")]
/// # async fn example(redis: redis_session::Redis) {
/// use axum::{Router, routing::get};
/// use redis_session::Sessions;
/// use redis_session::http::{Session, SessionLayer};
///
/// let layer = SessionLayer::new(Sessions::<u64>::new(redis));
/// let visits = get(async |session: Session<u64>| -> Result<String, String> {
///     session.change(|visits| *visits += 1).await.map_err(|error| error.to_string())?;
///     Ok(format!("{:?}", session.get().await))
/// });
/// let app: Router = Router::new().route("/", visits).layer(layer);
/// # }
/// ```
pub struct SessionLayer<T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    sessions: Sessions<T, C>,
    cookie: Arc<CookieSettings>,
}

impl<T, C> SessionLayer<T, C> {
    /// A layer over `sessions`.
    #[must_use]
    pub fn new(sessions: Sessions<T, C>) -> Self {
        Self { sessions, cookie: Arc::new(CookieSettings::of("id")) }
    }

    /// Names the cookie `__Host-` and this; `id` unless set, which tells nobody what runs here.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for characters that no name of a cookie has.
    pub fn cookie_name(self, name: &str) -> Result<Self, Error> {
        let named = CookieSettings::named(name)?;
        Ok(self.with(|cookie| cookie.rename(named)))
    }

    /// With which requests of other sites the cookie is sent; [`SameSite::Lax`] unless set, so that
    /// a link from a mail arrives logged in.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        self.with(|cookie| cookie.same_site = same_site)
    }

    /// Lets the cookie outlive the browser, up to the
    /// [absolute time](crate::Options::absolute) of the sessions; it ends with the browser unless
    /// set. Redis says when the session ends in either case.
    #[must_use]
    pub fn kept(self) -> Self {
        let absolute = self.sessions.options().absolute_timeout();
        self.with(|cookie| cookie.kept = Some(absolute))
    }

    fn with(mut self, change: impl FnOnce(&mut CookieSettings)) -> Self {
        change(Arc::make_mut(&mut self.cookie));
        self
    }
}

impl<T, C: Clone> Clone for SessionLayer<T, C> {
    fn clone(&self) -> Self {
        Self { sessions: self.sessions.clone(), cookie: self.cookie.clone() }
    }
}

impl<T, C> fmt::Debug for SessionLayer<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("sessions", &self.sessions)
            .field("cookie", &self.cookie)
            .finish()
    }
}

impl<S, T, C: Clone> Layer<S> for SessionLayer<T, C> {
    type Service = SessionService<S, T, C>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { inner, sessions: self.sessions.clone(), cookie: self.cookie.clone() }
    }
}
