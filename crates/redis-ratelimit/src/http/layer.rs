//! The settings of the layer.

use super::by::By;
use super::fields;
use super::service::RateLimitService;
use crate::gate::Gate;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use tower_layer::Layer;

/// A layer that lets a request in only if a [`Gate`] does; cheap to clone. See
/// [the module](crate::http) for what it answers.
///
/// ```no_run
/// # async fn example(redis: redis_ratelimit::Redis) -> Result<(), redis_ratelimit::Error> {
/// use axum::extract::ConnectInfo;
/// use axum::routing::get;
/// use redis_ratelimit::http::{By, RateLimitLayer};
/// use redis_ratelimit::{FixedWindow, Gate, RateLimiter, WhenDown};
/// use std::net::SocketAddr;
/// use std::num::NonZeroU64;
/// use std::time::Duration;
///
/// let policy = FixedWindow::new("requests", NonZeroU64::new(100).unwrap(), Duration::from_secs(60))?;
/// let gate = Gate::new(RateLimiter::new(redis, policy), WhenDown::FailOpen);
/// // One load balancer stands before the service.
/// let by = By::client_ip(1, |request| {
///     request.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.ip())
/// });
/// let app = axum::Router::<()>::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(RateLimitLayer::new(gate, by));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) gate: Gate,
    pub(super) by: By,
    pub(super) counts: Counts,
    pub(super) shadow: bool,
    pub(super) legacy: bool,
    pub(super) policies: Option<HeaderValue>,
}

/// Which requests stay charged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counts {
    All,
    If(fn(StatusCode) -> bool),
}

impl RateLimitLayer {
    /// A layer that charges one unit for each request to whom `by` names.
    #[must_use]
    pub fn new(gate: Gate, by: By) -> Self {
        let policies = fields::policies(gate.limiter().policies());
        let settings = Settings { gate, by, counts: Counts::All, shadow: false, legacy: false, policies };
        Self { settings: Arc::new(settings) }
    }

    /// Counts only requests that are answered with such a status: failed log-ins, say, with
    /// `|status| status == StatusCode::UNAUTHORIZED`.
    ///
    /// The unit is charged before the handler runs and given back after it, so not even requests sent
    /// all at once get more than the limit. It costs a second round trip where it is given back, and
    /// a response that is not counted has no `RateLimit` fields. The charge stays if the handler
    /// fails, or the client goes away before it ends; so does what [`WhenDown::LocalShare`] counts while
    /// Redis is away. The decision that the handler finds says that nothing was charged, since the unit
    /// is the layer's to give back.
    ///
    /// [`WhenDown::LocalShare`]: crate::WhenDown::LocalShare
    #[must_use]
    pub fn count_only(self, counts: fn(StatusCode) -> bool) -> Self {
        self.with(|settings| settings.counts = Counts::If(counts))
    }

    /// Decides, charges and records, and never denies: to see what a limit would do. Responses have no
    /// fields; denials are counted by the metric
    /// [`SHADOW_DENIALS`](crate::telemetry::SHADOW_DENIALS).
    #[must_use]
    pub fn shadow(self) -> Self {
        self.with(|settings| settings.shadow = true)
    }

    /// Adds `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (in seconds from now)
    /// of the tightest policy, for clients that know no others.
    #[must_use]
    pub fn legacy_headers(self) -> Self {
        self.with(|settings| settings.legacy = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService { inner, settings: self.settings.clone() }
    }
}
