//! Every row of the table in the docs of `redis_session::http`, through axum, and the races that
//! session middleware loses: log-outs undone, ids revived, changes lost.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, COOKIE, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use redis_session::http::{SameSite, Session, SessionLayer};
use redis_session::{Error, LogIn, Login, Options, Sessions, WhenFull};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

type Value = BTreeMap<String, u32>;

/// What a slow handler waits at: the test learns that it is there, and lets it go on.
#[derive(Clone)]
struct Gate {
    reached: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

/// Does what its path says, step by step: `/set:a+in:ann+fail`. Answers the value as it is then.
async fn act(Path(steps): Path<String>, session: Session<Value>, gate: Gate) -> (StatusCode, String) {
    for step in steps.split('+') {
        let (what, name) = step.split_once(':').unwrap_or((step, ""));
        let name = name.to_owned();
        let done = match what {
            "nothing" => Ok(()),
            "look" => session.get().await.map(drop),
            "set" => session.change(move |value| *value.entry(name.clone()).or_default() += 1).await,
            "in" => {
                match session.log_in(Login::of(&name).device("test"), Value::from([(name.clone(), 1)])).await
                {
                    Ok(LogIn::Full) => return (StatusCode::CONFLICT, String::new()),
                    other => other.map(drop),
                }
            }
            "renew" => {
                session.renew().await;
                Ok(())
            }
            "out" => {
                session.log_out().await;
                Ok(())
            }
            "gate" => {
                gate.reached.add_permits(1);
                gate.opened.acquire().await.unwrap().forget();
                Ok(())
            }
            "fail" => return (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            "panic" => panic!("as the test wants it"),
            other => panic!("no step {other}"),
        };
        if done.is_err() {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
    }
    if steps.ends_with("nothing") || steps.ends_with("renew") || steps.ends_with("out") {
        return (StatusCode::OK, String::new());
    }
    (StatusCode::OK, format!("{:?}", session.get().await.unwrap()))
}

#[derive(Clone)]
struct Service {
    app: Router,
    gate: Gate,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn cookie(&self) -> Option<&str> {
        assert!(self.headers.get_all(SET_COOKIE).iter().count() <= 1, "two cookies");
        self.headers.get(SET_COOKIE).map(|value| value.to_str().unwrap())
    }

    /// `name=value`, as a browser sends it back.
    fn pair(&self) -> String {
        self.cookie().expect("a cookie was set").split(';').next().unwrap().to_owned()
    }

    fn removes(&self) -> bool {
        self.cookie().is_some_and(|cookie| cookie.starts_with("__Host-id=;") && cookie.contains("Max-Age=0"))
    }
}

impl Service {
    fn of(t: &TestRedis) -> Self {
        Self::with(SessionLayer::new(Sessions::new(t.redis.clone())))
    }

    fn with(layer: SessionLayer<Value>) -> Self {
        let gate = Gate { reached: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) };
        let at = gate.clone();
        let handler = move |path: Path<String>, session: Session<Value>| act(path, session, at.clone());
        Self { app: Router::new().route("/{steps}", get(handler)).layer(layer), gate }
    }

    async fn get(&self, steps: &str, cookie: &str) -> Answer {
        let mut request = Request::builder().uri(format!("/{steps}"));
        if !cookie.is_empty() {
            request = request.header(COOKIE, cookie);
        }
        let response = self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Starts a request and waits until it is at its gate.
    async fn start(&self, steps: &'static str, cookie: &str) -> tokio::task::JoinHandle<Answer> {
        let (service, cookie) = (self.clone(), cookie.to_owned());
        let running = tokio::spawn(async move { service.get(steps, &cookie).await });
        self.gate.reached.acquire().await.unwrap().forget();
        running
    }

    async fn finish(&self, running: tokio::task::JoinHandle<Answer>) -> Answer {
        self.gate.opened.add_permits(1);
        running.await.unwrap()
    }
}

on_every_topology! {
    async fn a_request_that_changes_nothing_stores_nothing(t: TestRedis) {
        let service = Service::of(&t);
        for steps in ["nothing", "look", "renew"] {
            let answer = service.get(steps, "").await;
            assert_eq!((answer.status, answer.cookie()), (200, None), "{steps}");
            assert_eq!(answer.headers.get(CACHE_CONTROL), None);
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn a_change_begins_a_session_and_the_next_needs_no_cookie(t: TestRedis) {
        let service = Service::of(&t);
        let first = service.get("set:a", "").await;
        let cookie = first.cookie().unwrap();
        assert!(cookie.starts_with("__Host-id="), "{cookie}");
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Max-Age") && !cookie.contains("Domain"), "{cookie}");
        assert_eq!(first.headers[CACHE_CONTROL], "no-store");
        let second = service.get("set:a+set:b", &first.pair()).await;
        assert_eq!((second.cookie(), second.headers.get(CACHE_CONTROL)), (None, None));
        assert_eq!(second.body, r#"Some({"a": 2, "b": 1})"#);
        assert_eq!(service.get("look", &first.pair()).await.body, r#"Some({"a": 2, "b": 1})"#);
        assert_eq!(service.get("look", "").await.body, "None");
    }

    async fn a_cookie_that_is_foreign_or_malformed_is_none_and_is_never_adopted(t: TestRedis) {
        let service = Service::of(&t);
        let foreign = format!("__Host-id={}", "0f".repeat(48));
        let long = format!("__Host-id={}", "0f".repeat(4_000));
        for bad in [&foreign, "__Host-id=", "__Host-id=SECRET", &foreign[..40], &long, "=;;=", "__Host-id"] {
            let looked = service.get("look", bad).await;
            assert_eq!((looked.status, looked.cookie(), &*looked.body), (200, None, "None"));
            let set = service.get("set:a", bad).await;
            assert_eq!(set.status, 200);
            assert_ne!(set.pair(), bad, "an id of the client's own choice");
        }
    }

    async fn a_log_in_gives_another_id_and_ends_the_session_before_it(t: TestRedis) {
        let (service, sessions) = (Service::of(&t), Sessions::<Value>::new(t.redis.clone()));
        let before = service.get("set:basket", "").await.pair();
        let logged_in = service.get("in:ann", &before).await;
        assert_ne!(logged_in.pair(), before);
        assert_eq!(service.get("look", &logged_in.pair()).await.body, r#"Some({"ann": 1})"#);
        assert_eq!(service.get("look", &before).await.body, "None", "a planted id is logged in");
        assert_eq!(sessions.list("ann").await.unwrap().len(), 1);
        let changed = service.get("in:ann+set:x", &logged_in.pair()).await;
        assert_eq!(service.get("look", &changed.pair()).await.body, r#"Some({"ann": 1, "x": 1})"#);
        assert_eq!(sessions.list("ann").await.unwrap().len(), 1);
    }

    async fn a_log_in_that_fails_keeps_the_session_before_it(t: TestRedis) {
        let (service, sessions) = (Service::of(&t), Sessions::<Value>::new(t.redis.clone()));
        let before = service.get("set:basket", "").await.pair();
        for steps in ["in:ann+fail", "renew+fail", "out+fail", "set:lost+fail"] {
            let failed = service.get(steps, &before).await;
            assert_eq!((failed.status, failed.cookie()), (500, None), "{steps}");
            assert_eq!(service.get("look", &before).await.body, r#"Some({"basket": 1})"#, "{steps}");
        }
        assert_eq!(sessions.list("ann").await.unwrap(), [], "the log-in was not taken back");
    }

    async fn a_log_in_over_the_limit_is_the_handlers_to_answer(t: TestRedis) {
        let options = Options::new().max_sessions(NonZeroU32::new(1).unwrap(), WhenFull::Refuse);
        let sessions = Sessions::with_options(t.redis.clone(), options).unwrap();
        let service = Service::with(SessionLayer::new(sessions));
        let _first = service.get("in:ann", "").await.pair();
        let second = service.get("in:ann", "").await;
        assert_eq!((second.status, second.cookie()), (409, None));
    }

    async fn who_logs_in_again_takes_no_second_place(t: TestRedis) {
        let options = Options::new().max_sessions(NonZeroU32::MIN, WhenFull::Refuse);
        let sessions = Sessions::with_options(t.redis.clone(), options).unwrap();
        let service = Service::with(SessionLayer::new(sessions.clone()));
        let first = service.get("in:ann", "").await.pair();
        assert_eq!(service.get("in:ann+fail", &first).await.status, 500);
        assert_eq!(service.get("look", &first).await.body, r#"Some({"ann": 1})"#);
        assert_eq!(service.get("in:ann", &first).await.status, 200);
        assert_eq!(sessions.list("ann").await.unwrap().len(), 1);
    }

    async fn a_client_that_goes_away_is_logged_out_all_the_same(t: TestRedis) {
        let service = Service::of(&t);
        for steps in ["out+gate", "in:ann+out+gate", "in:ann+gate"] {
            let cookie = service.get("set:a", "").await.pair();
            let slow = service.start(steps, &cookie).await;
            slow.abort();
            assert!(slow.await.is_err());
            let kept = if steps.contains("out") { 0 } else { 1 };
            eventually("what nobody may use ends", || async {
                t.keys().await.iter().filter(|key| !key.ends_with(":index")).count() == kept
            }).await;
            let found = service.get("look", &cookie).await.body;
            assert_eq!(found, if kept == 0 { "None" } else { r#"Some({"a": 1})"# }, "{steps}");
        }
    }

    async fn a_handler_that_panics_after_a_log_out_has_logged_out(t: TestRedis) {
        let service = Service::of(&t);
        let cookie = service.get("set:a", "").await.pair();
        let panicking = tokio::spawn({
            let (service, cookie) = (service.clone(), cookie.clone());
            async move { service.get("out+panic", &cookie).await }
        });
        assert!(panicking.await.is_err());
        eventually("the session ends", || async { t.keys().await.is_empty() }).await;
        assert_eq!(service.get("look", &cookie).await.body, "None");
    }

    async fn a_log_in_that_was_revoked_meanwhile_sets_no_cookie(t: TestRedis) {
        let (service, sessions) = (Service::of(&t), Sessions::<Value>::new(t.redis.clone()));
        let slow = service.start("in:ann+set:b+gate", "").await;
        let _ = sessions.revoke_all("ann").await.unwrap();
        assert_eq!(service.finish(slow).await.cookie(), None);
    }

    async fn a_change_beside_a_renewal_is_kept(t: TestRedis) {
        let service = Service::of(&t);
        for (steps, found) in
            [("look+renew+gate", r#"Some({"a": 1, "c": 1})"#), ("set:b+renew+gate", r#"Some({"a": 1, "b": 1, "c": 1})"#)]
        {
            let cookie = service.get("set:a", "").await.pair();
            let slow = service.start(steps, &cookie).await;
            assert_eq!(service.get("set:c", &cookie).await.status, 200);
            let renewed = service.finish(slow).await.pair();
            assert_eq!(service.get("look", &renewed).await.body, found, "{steps}");
        }
    }

    async fn a_renewed_session_has_one_id(t: TestRedis) {
        let service = Service::of(&t);
        let before = service.get("set:a", "").await.pair();
        let renewed = service.get("set:b+renew", &before).await;
        assert_ne!(renewed.pair(), before);
        assert_eq!(renewed.headers[CACHE_CONTROL], "no-store");
        assert_eq!(service.get("look", &renewed.pair()).await.body, r#"Some({"a": 1, "b": 1})"#);
        assert_eq!(service.get("look", &before).await.body, "None");
    }

    async fn a_log_out_ends_the_session_and_removes_the_cookie(t: TestRedis) {
        let service = Service::of(&t);
        let before = service.get("in:ann", "").await.pair();
        let out = service.get("out", &before).await;
        assert!(out.removes(), "{out:?}");
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(out.cookie().unwrap().contains(attribute), "{out:?}");
        }
        assert_eq!(out.headers[CACHE_CONTROL], "no-store");
        assert_eq!(service.get("look", &before).await.body, "None");
        // A cookie of no use is removed as well; a browser without one is told nothing.
        assert!(service.get("out", "__Host-id=old").await.removes());
        assert_eq!(service.get("out", "").await.cookie(), None);
    }

    async fn parallel_changes_are_both_kept(t: TestRedis) {
        let service = Service::of(&t);
        let cookie = service.get("set:a", "").await.pair();
        let slow = service.start("set:b+gate", &cookie).await;
        assert_eq!(service.get("set:c", &cookie).await.status, 200);
        assert_eq!(service.finish(slow).await.cookie(), None);
        assert_eq!(service.get("look", &cookie).await.body, r#"Some({"a": 1, "b": 1, "c": 1})"#);
    }

    async fn a_log_out_during_a_slow_request_is_not_undone(t: TestRedis) {
        let service = Service::of(&t);
        for steps in ["set:b+gate", "look+gate+renew", "look+renew+set:b+gate"] {
            let cookie = service.get("set:a", "").await.pair();
            let slow = service.start(steps, &cookie).await;
            assert!(service.get("out", &cookie).await.removes());
            let slow = service.finish(slow).await;
            assert_eq!((slow.status, slow.cookie()), (200, None), "{steps}: a cookie of a session that is gone");
            assert_eq!(service.get("look", &cookie).await.body, "None", "{steps}");
            assert_eq!(t.keys().await, Vec::<String>::new(), "{steps}: revived under another id");
        }
    }

    /// The slow answer arrives after that of the log-in: it must not bring the old cookie back.
    async fn a_log_in_during_a_slow_request_is_not_undone(t: TestRedis) {
        let service = Service::of(&t);
        let cookie = service.get("set:a", "").await.pair();
        let slow = service.start("set:b+gate", &cookie).await;
        let logged_in = service.get("in:ann", &cookie).await.pair();
        assert_eq!(service.finish(slow).await.cookie(), None);
        assert_eq!(service.get("look", &logged_in).await.body, r#"Some({"ann": 1})"#);
    }

    async fn the_cookie_is_as_it_was_asked(t: TestRedis) {
        let layer = SessionLayer::new(Sessions::new(t.redis.clone())).cookie_name("sid").unwrap();
        let service = Service::with(layer.same_site(SameSite::Strict).kept());
        let set = service.get("set:a", "").await;
        let cookie = set.cookie().unwrap();
        assert!(cookie.starts_with("__Host-sid="), "{cookie}");
        assert!(cookie.contains("SameSite=Strict") && cookie.contains("Max-Age=43200"), "{cookie}");
        assert_eq!(service.get("look", &set.pair()).await.body, r#"Some({"a": 1})"#);
        let bad = SessionLayer::new(Sessions::<Value>::new(t.redis.clone())).cookie_name("a;b");
        assert!(matches!(bad, Err(Error::Options(_))));
    }

    async fn two_types_of_sessions_do_not_meet(t: TestRedis) {
        let handler = async |_: Session<String>| "never";
        let layer = SessionLayer::new(Sessions::<Value>::new(t.redis.clone()));
        let app: Router = Router::new().route("/", get(handler)).layer(layer);
        let answer = app.oneshot(Request::builder().uri("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
}

/// Counted at the wire: what this client sent.
#[tokio::test]
async fn a_request_costs_no_more_than_it_asks_for() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let service = Service::of(&through);
    // The first of each script brings its source; that is the second round trip of its life.
    let warm = service.get("set:a", "").await.pair();
    let warm = service.get("set:a+renew", &warm).await.pair();
    let _ = service.get("set:a", &warm).await;
    let _ = service.get("out", &warm).await;
    let cookie = service.get("set:a", "").await.pair();
    for (steps, expected) in
        [("nothing", 0), ("look", 1), ("look+look", 1), ("set:a", 2), ("set:a+set:b", 2), ("out", 1)]
    {
        let before = proxy.counts().requests;
        assert_eq!(service.get(steps, &cookie).await.status, 200);
        assert_eq!(proxy.counts().requests - before, expected, "{steps}");
    }
    through.delete_keys().await;
}

/// An answer that would say what has not happened is not given.
#[tokio::test]
async fn while_redis_is_away_nobody_is_told_that_they_are_logged_out() {
    let Some(t) = TestRedis::standalone().await else { return };
    let service = Service::of(&t);
    let cookie = service.get("set:a", "").await.pair();
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let redis = through.redis.with_namespace(t.redis.namespace().clone());
    let redis = redis.with_deadline(std::time::Duration::from_millis(200));
    let behind = Service::with(SessionLayer::new(Sessions::new(redis)));
    assert_eq!(behind.get("look", &cookie).await.body, r#"Some({"a": 1})"#);
    proxy.stall();
    for steps in ["out", "look", "set:b", "in:ann"] {
        let answer = behind.get(steps, &cookie).await;
        assert_eq!((answer.status, answer.cookie()), (503, None), "{steps}");
        assert_eq!(answer.headers.get(RETRY_AFTER).is_some(), steps == "out");
    }
    // What needs no session is served.
    assert_eq!(behind.get("nothing", &cookie).await.status, 200);
    assert_eq!(service.get("look", &cookie).await.body, r#"Some({"a": 1})"#);
    t.delete_keys().await;
}
