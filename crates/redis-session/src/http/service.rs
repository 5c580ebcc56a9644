//! One request on its way through the layer.

use super::cookie::{CookieChange, CookieSettings};
use super::session::Session;
use crate::sessions::Sessions;
use http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use redis_patterns_core::Codec;
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// How long to wait when Redis is away, in seconds: about what a failover takes.
const OUTAGE: &str = "2";

/// The service that [`SessionLayer`](super::SessionLayer) makes of another.
pub struct SessionService<S, T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    pub(super) inner: S,
    pub(super) sessions: Sessions<T, C>,
    pub(super) cookie: Arc<CookieSettings>,
}

impl<S, T, C, B, R> Service<Request<B>> for SessionService<S, T, C>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    T: Serialize + DeserializeOwned + Clone + Default + Send + Sync + 'static,
    C: Codec,
    B: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (sent, is_sent) = (self.cookie.find(request.headers()), self.cookie.is_sent(request.headers()));
        let (session, cookie) = (Session::new(self.sessions.clone(), sent), self.cookie.clone());
        request.extensions_mut().insert(session.clone());
        Box::pin(async move {
            let mut unanswered = Unanswered(Some(session.clone()));
            let answered = inner.call(request).await;
            let answer = match answered {
                Ok(response) if !response.status().is_server_error() => {
                    Ok(finish(&session, &cookie, response, is_sent).await)
                }
                failed => {
                    // What cannot be taken back ends with its idle time: nobody knows its id.
                    let _ = session.take_back().await;
                    failed
                }
            };
            unanswered.0 = None;
            answer
        })
    }
}

/// A request whose answer is not there yet; dropped before that, its log-out is made all the same.
struct Unanswered<T, C>(Option<Session<T, C>>)
where
    T: Serialize + DeserializeOwned + Clone + Default + Send + Sync + 'static,
    C: Codec;

impl<T, C> Drop for Unanswered<T, C>
where
    T: Serialize + DeserializeOwned + Clone + Default + Send + Sync + 'static,
    C: Codec,
{
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            // It waits for nobody; Redis::close waits for it.
            let redis = session.sessions.redis().clone();
            drop(redis.detach(async move { session.abandon().await }));
        }
    }
}

async fn finish<T, C, R>(
    session: &Session<T, C>,
    cookie: &CookieSettings,
    mut response: Response<R>,
    is_sent: bool,
) -> Response<R>
where
    T: Serialize + DeserializeOwned + Clone + Default,
    C: Codec,
    R: Default,
{
    match session.commit().await {
        // A browser without the cookie has none to remove.
        Ok(CookieChange::Remove) if !is_sent => response,
        Ok(change) => {
            cookie.apply(change, response.headers_mut());
            response
        }
        Err(error) => {
            let _ = session.take_back().await;
            not_written(&error)
        }
    }
}

/// The answer instead of the handler's, which would say what has not happened.
fn not_written<R: Default>(error: &crate::Error) -> Response<R> {
    let mut response = Response::new(R::default());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if error.is_outage() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(OUTAGE));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    } else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}

impl<S: Clone, T, C: Clone> Clone for SessionService<S, T, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), sessions: self.sessions.clone(), cookie: self.cookie.clone() }
    }
}

impl<S, T, C> fmt::Debug for SessionService<S, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").finish_non_exhaustive()
    }
}
