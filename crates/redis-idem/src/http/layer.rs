//! The settings of the layer.

use super::problem::is_plain_uri;
use super::service::IdempotencyService;
use super::stored::{KEPT, may_be_kept};
use crate::error::Error;
use crate::idempotency::Idempotency;
use crate::scope::Scope;
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tower_layer::Layer;

const MIB: usize = 1 << 20;

/// What becomes of the response of a handler that has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// It is kept and replayed.
    Store,
    /// The handler had no effect: nothing is kept and a retry runs.
    Release,
    /// The handler failed half way: a retry is answered as
    /// [`Takeover`](crate::Takeover) says.
    Abandon,
}

impl Keep {
    /// The policy unless another is set: 2xx, 3xx and 4xx are stored, since a retry of what was
    /// refused for its content is refused again; 401, 403, 408, 409, 425 and 429 are released,
    /// since they depend on the moment; 5xx are abandoned.
    #[must_use]
    pub fn by_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 | 403 | 408 | 409 | 425 | 429 => Self::Release,
            500.. => Self::Abandon,
            _ => Self::Store,
        }
    }
}

/// What to do with a request that has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKey {
    /// Answer 400.
    Refuse,
    /// Run it unclaimed: for interfaces whose clients may do without.
    RunUnclaimed,
}

/// What to do while Redis cannot be asked. A durable store or an audit trail that cannot be asked is
/// another matter: requests are refused then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// Answer 503 and `Retry-After`.
    Refuse,
    /// Run the request unclaimed: a retry may then run twice.
    RunUnclaimed,
}

pub(super) type ScopeOf = dyn Fn(&Parts) -> Scope + Send + Sync;

/// A layer that runs each request with an `Idempotency-Key` once; cheap to clone. See
/// [the module](crate::http) for what it answers.
///
/// The handler finds an [`Attempt`](crate::Attempt) among the request's extensions.
///
/// ```no_run
/// # async fn example(redis: redis_idem::Redis) {
/// use axum::Router;
/// use axum::routing::post;
/// use redis_idem::http::IdempotencyLayer;
/// use redis_idem::{Idempotency, Scope};
///
/// #[derive(Clone)]
/// struct UserId(String);
///
/// // The authentication outside of this layer has put the user there.
/// let by_user = |request: &http::request::Parts| {
///     request.extensions.get::<UserId>().map_or(Scope::principal(""), |user| Scope::principal(&user.0))
/// };
/// let layer = IdempotencyLayer::new(Idempotency::new(redis), by_user);
/// let app: Router = Router::new().route("/payments", post(|| async { "paid" })).layer(layer);
/// # }
/// ```
#[derive(Clone)]
pub struct IdempotencyLayer {
    pub(super) settings: Arc<Settings>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) requests: Idempotency,
    pub(super) scope_of: Arc<ScopeOf>,
    pub(super) methods: Vec<Method>,
    pub(super) missing_key: MissingKey,
    pub(super) when_down: WhenDown,
    pub(super) patience: Duration,
    pub(super) largest_request: usize,
    pub(super) largest_response: usize,
    pub(super) headers: Vec<HeaderName>,
    pub(super) keep: fn(StatusCode) -> Keep,
    pub(super) problems: Option<String>,
}

impl IdempotencyLayer {
    /// A layer over `requests`. `scope_of` names the caller, by what authentication has found out
    /// and never by what the client merely says: an empty id is answered 500.
    pub fn new(requests: Idempotency, scope_of: impl Fn(&Parts) -> Scope + Send + Sync + 'static) -> Self {
        let settings = Settings {
            requests,
            scope_of: Arc::new(scope_of),
            methods: vec![Method::POST, Method::PATCH],
            missing_key: MissingKey::Refuse,
            when_down: WhenDown::Refuse,
            patience: Duration::ZERO,
            largest_request: MIB,
            largest_response: MIB,
            headers: KEPT.to_vec(),
            keep: Keep::by_status,
            problems: None,
        };
        Self { settings: Arc::new(settings) }
    }

    /// The methods that are claimed; POST and PATCH unless set, those that HTTP does not make
    /// idempotent by itself.
    #[must_use]
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(|settings| settings.methods = methods.into_iter().collect())
    }

    /// What to do with a request that has no key; it is refused unless set.
    #[must_use]
    pub fn missing_key(self, missing_key: MissingKey) -> Self {
        self.with(|settings| settings.missing_key = missing_key)
    }

    /// What to do while Redis cannot be asked; requests are refused unless set.
    #[must_use]
    pub fn when_down(self, when_down: WhenDown) -> Self {
        self.with(|settings| settings.when_down = when_down)
    }

    /// How long a request waits for the response of the same request under way, before it is answered
    /// 409; not at all unless set. It is told by Redis and asks nothing meanwhile
    /// ([`Idempotency::begin_or_wait`]), but the client's connection stays open.
    #[must_use]
    pub fn wait_up_to(self, patience: Duration) -> Self {
        self.with(|settings| settings.patience = patience)
    }

    /// The longest request body in bytes; 1 MiB unless set. It is read whole, since it is part of
    /// the fingerprint.
    #[must_use]
    pub fn largest_request(self, bytes: usize) -> Self {
        self.with(|settings| settings.largest_request = bytes)
    }

    /// The longest response body in bytes that is kept and replayed; 1 MiB unless set, since all of
    /// them lie in Redis's memory for the retention.
    #[must_use]
    pub fn largest_response(self, bytes: usize) -> Self {
        self.with(|settings| settings.largest_response = bytes)
    }

    /// Keeps one more header of responses.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a header that must not be replayed: cookies, credentials, and what
    /// belongs to one connection, request or moment, such as `RateLimit` and trace ids.
    pub fn keep_header(self, name: HeaderName) -> Result<Self, Error> {
        if !may_be_kept(&name) {
            return Err(Error::Options("this header must not be replayed to another request"));
        }
        Ok(self.with(|settings| settings.headers.push(name)))
    }

    /// Which responses are kept; [`Keep::by_status`] unless set.
    #[must_use]
    pub fn keep(self, policy: fn(StatusCode) -> Keep) -> Self {
        self.with(|settings| settings.keep = policy)
    }

    /// The address of a page that describes the problems, such as
    /// `https://example.com/idempotency`: their types are this and `#missing`, `#malformed`,
    /// `#too-large`, `#outstanding`, `#in-doubt`, `#not-kept`, `#reused`, `#unavailable`,
    /// `#internal`, and a `Link` points there. `about:blank` unless set.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for an address with a fragment, or with characters that no URI has.
    pub fn problems_at(self, base: &str) -> Result<Self, Error> {
        if !is_plain_uri(base) {
            return Err(Error::Options("the address of the problems is a URI without a fragment"));
        }
        Ok(self.with(|settings| settings.problems = Some(base.to_owned())))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl fmt::Debug for IdempotencyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer")
            .field("requests", &self.settings.requests)
            .field("methods", &self.settings.methods)
            .field("missing_key", &self.settings.missing_key)
            .field("when_down", &self.settings.when_down)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for IdempotencyLayer {
    type Service = IdempotencyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdempotencyService { inner, settings: self.settings.clone() }
    }
}
