//! The service behind the layer, and what a client sees of it.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use axum::routing::any;
use redis_idem::http::IdempotencyLayer;
use redis_idem::{Attempt, Idempotency, Scope};
use redis_patterns_testkit::harness::TestRedis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

pub(crate) const PROBLEMS: &str = "https://example.com/idempotency";

/// A service that counts its runs, and the gate that `POST /slow` waits at.
pub(crate) struct Service {
    pub(crate) app: Router,
    pub(crate) runs: Arc<AtomicU32>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) attempts: Arc<std::sync::Mutex<Vec<(u32, String)>>>,
}

impl Service {
    pub(crate) fn new(layer: IdempotencyLayer) -> Self {
        let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let attempts = Arc::<std::sync::Mutex<Vec<_>>>::default();
        let (counted, waited, noted) = (runs.clone(), gate.clone(), attempts.clone());
        let handler = move |path: Path<String>, attempt: Option<axum::Extension<Attempt>>| {
            let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(attempt) = attempt {
                noted.lock().unwrap().push((attempt.number, attempt.request.clone()));
            }
            let gate = waited.clone();
            async move {
                if path.as_str() == "slow" {
                    gate.acquire().await.unwrap().forget();
                }
                respond(&path, run)
            }
        };
        Self { app: Router::new().route("/{kind}", any(handler)).layer(layer), runs, gate, attempts }
    }

    pub(crate) fn of(t: &TestRedis) -> Self {
        Self::new(layer(&Idempotency::new(t.redis.clone())))
    }

    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.app.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &'static str) -> Answer {
        self.send(post(path, key, body)).await
    }
}

/// What the handler answers on each path.
fn respond(kind: &str, run: u32) -> Response<Body> {
    let response = Response::builder().header(SET_COOKIE, "id=secret").header("x-run", run.to_string());
    match kind {
        "created" => response.status(201).header(LOCATION, "/thing/1").header(CONTENT_TYPE, "text/plain"),
        "invalid" => response.status(400),
        "busy" => response.status(429),
        "broken" => response.status(500),
        _ => response,
    }
    .body(match kind {
        "large" => Body::from(vec![b'x'; 2_000]),
        "stream" => Body::new(http_body_util::StreamBody::new(Once(Some(format!("run {run}"))))),
        _ => Body::from(format!("run {run}")),
    })
    .unwrap()
}

/// A body of one frame whose length nobody knows before.
struct Once(Option<String>);

impl futures_core::Stream for Once {
    type Item = Result<http_body::Frame<axum::body::Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take().map(|text| Ok(http_body::Frame::data(text.into()))))
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into()).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.header(HeaderName::from_static("idempotent-replayed")) == Some("true")
    }

    /// It is a problem of the layer's own, in the form that RFC 9457 gives.
    pub(crate) fn is_problem(&self, status: u16, fragment: &str) -> bool {
        self.status == status
            && self.header(CONTENT_TYPE) == Some("application/problem+json")
            && self.header(LINK)
                == Some("<https://example.com/idempotency>; rel=\"describedby\"; type=\"text/html\"")
            && self.body.starts_with(&format!("{{\"type\":\"{PROBLEMS}#{fragment}\",\"title\":\""))
            && self.body.ends_with(&format!("\",\"status\":{status}}}"))
    }
}

pub(crate) fn layer(requests: &Idempotency) -> IdempotencyLayer {
    let scope = |request: &http::request::Parts| {
        request.headers.get("x-user").map_or(Scope::tenant("acme"), Scope::principal)
    };
    IdempotencyLayer::new(requests.clone(), scope).problems_at(PROBLEMS).unwrap()
}

pub(crate) fn post(path: &str, key: &str, body: &'static str) -> Request<Body> {
    Request::post(path).header("idempotency-key", key).body(Body::from(body)).unwrap()
}

pub(crate) fn runs(answer: &Answer, number: u32) {
    assert_eq!((answer.status.is_success(), answer.body.as_str()), (true, &*format!("run {number}")));
}

pub(crate) async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the condition never held");
}
