//! A magic link on its way through mail scanners: HEAD, GET, GET, then the user's form (POST).

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::COOKIE;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::get;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{Binding, Consumed, OneTimeToken, OneTimeTokens, Purpose};
use std::time::Duration;
use tower::ServiceExt as _;

const LINK: Purpose = Purpose::new("magic-link");

type Links = State<OneTimeTokens<u64>>;

/// GET (and HEAD) show a page, POST logs in.
fn app(t: &TestRedis) -> (Router, OneTimeTokens<u64>) {
    let links = OneTimeTokens::new(t.redis.clone(), LINK, Duration::from_secs(900)).unwrap();
    (Router::new().route("/in/{token}", get(page).post(log_in)).with_state(links.clone()), links)
}

async fn page(links: Links, token: Path<String>) -> StatusCode {
    let Some(token) = OneTimeToken::parse(&token) else { return StatusCode::GONE };
    let good = links.peek(&token).await.unwrap().is_some();
    if good { StatusCode::OK } else { StatusCode::GONE }
}

async fn log_in(links: Links, token: Path<String>, headers: HeaderMap) -> StatusCode {
    let Some(token) = OneTimeToken::parse(&token) else { return StatusCode::GONE };
    let nonce = headers.get(COOKIE).map(|cookie| Binding::none().browser(cookie));
    match links.consume_bound(&token, &nonce.unwrap_or_default()).await.unwrap() {
        Consumed::Value(42) => StatusCode::OK,
        Consumed::Value(_) | Consumed::StampChanged => StatusCode::INTERNAL_SERVER_ERROR,
        Consumed::Unknown => StatusCode::GONE,
        Consumed::OtherBrowser => StatusCode::FORBIDDEN,
    }
}

async fn send(app: &Router, method: Method, token: &str, cookie: Option<&str>) -> u16 {
    let mut request = Request::builder().method(method).uri(format!("/in/{token}"));
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
}

on_every_topology! {
    async fn scanners_that_follow_links_spend_nothing(t: TestRedis) {
        let (app, links) = app(&t);
        let token = links.issue("ann", &42).await.unwrap().issued().unwrap();
        let token = token.expose();
        for method in [Method::HEAD, Method::GET, Method::GET] {
            assert_eq!(send(&app, method, &token, None).await, 200);
        }
        assert_eq!(send(&app, Method::POST, &token, None).await, 200);
        for method in [Method::POST, Method::GET, Method::HEAD] {
            assert_eq!(send(&app, method, &token, None).await, 410);
        }
    }

    async fn scanners_that_send_forms_are_not_logged_in(t: TestRedis) {
        let (app, links) = app(&t);
        let bound = Binding::none().browser("nonce=ann");
        let token = links.issue_bound("ann", &42, &bound).await.unwrap().issued().unwrap();
        let token = token.expose();
        assert_eq!(send(&app, Method::GET, &token, None).await, 200);
        assert_eq!(send(&app, Method::POST, &token, None).await, 403);
        assert_eq!(send(&app, Method::POST, &token, Some("nonce=eve")).await, 403);
        assert_eq!(send(&app, Method::POST, &token, Some("nonce=ann")).await, 200);
        assert_eq!(send(&app, Method::POST, &token, Some("nonce=ann")).await, 410);
    }
}
