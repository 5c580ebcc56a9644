//! Every row of the table in the docs of `redis_idem::http`, through axum, and what the draft's users
//! got wrong: cookies replayed, envelope errors kept, handlers cut short.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod away;
mod doubt;
#[cfg(feature = "sqlx")]
mod durable;
#[cfg(feature = "axum")]
mod nested;
mod service;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderName, Method, Request};
use common::{end_lease, key_of, until_listening};
use redis_idem::http::{Keep, MissingKey, WhenDown};
use redis_idem::{Idempotency, Options, Takeover};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use service::{Answer, Service, layer, post, runs, until};
use std::time::Duration;
use tower::ServiceExt as _;

on_every_topology! {
    async fn the_first_runs_and_the_same_again_is_replayed(t: TestRedis) {
        let service = Service::of(&t);
        let first = service.post("/created", "k", "10").await;
        assert_eq!((first.status.as_u16(), first.body.as_str(), first.is_replay()), (201, "run 1", false));
        assert_eq!(first.header(SET_COOKIE), Some("id=secret"));
        for _ in 0..2 {
            let again = service.post("/created", "\"k\"", "10").await;
            assert_eq!((again.status.as_u16(), again.body.as_str(), again.is_replay()), (201, "run 1", true));
            assert_eq!((again.header(LOCATION), again.header(CONTENT_TYPE)), (Some("/thing/1"), Some("text/plain")));
            assert_eq!(again.header(SET_COOKIE), None, "a cookie was replayed");
            assert_eq!(again.header(HeaderName::from_static("x-run")), None, "a header that is not listed");
        }
        assert_eq!(service.runs(), 1);
    }

    async fn the_handler_is_told_which_attempt_it_is(t: TestRedis) {
        let service = Service::of(&t);
        assert_eq!(service.post("/broken", "k", "").await.status, 500);
        assert_eq!(service.post("/broken", "k", "").await.status, 500);
        let attempts = service.attempts.lock().unwrap().clone();
        assert_eq!(attempts.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((attempts[0].1.len(), &attempts[0].1), (64, &attempts[1].1));
    }

    async fn a_key_that_is_missing_or_malformed_is_refused(t: TestRedis) {
        let service = Service::of(&t);
        let none = service.send(Request::post("/x").body(Body::empty()).unwrap()).await;
        assert!(none.is_problem(400, "missing") && none.body.contains("Idempotency-Key is missing"), "{}", none.body);
        for bad in ["", "\"", "a b", "a,b", &"k".repeat(256)] {
            assert!(service.post("/x", bad, "").await.is_problem(400, "malformed"), "{bad:?}");
        }
        let mut twice = post("/x", "k", "");
        twice.headers_mut().append("idempotency-key", "k".parse().unwrap());
        assert!(service.send(twice).await.is_problem(400, "malformed"));
        assert_eq!((service.runs(), t.keys().await.len()), (0, 0));
    }

    async fn while_the_first_runs_the_same_is_told_to_wait_and_another_is_refused(t: TestRedis) {
        let service = Service::of(&t);
        let running = tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        until(|| service.runs() == 1).await;
        let busy = service.post("/slow", "k", "10").await;
        assert!(busy.is_problem(409, "outstanding"), "{} {}", busy.status, busy.body);
        assert!(busy.body.contains("A request is outstanding for this Idempotency-Key"));
        assert!((1..=30).contains(&busy.header(RETRY_AFTER).unwrap().parse::<u64>().unwrap()));
        assert!(service.post("/slow", "k", "20").await.is_problem(422, "reused"));
        service.gate.add_permits(1);
        runs(&Answer::of(running.await.unwrap().unwrap()).await, 1);
        runs(&service.post("/slow", "k", "10").await, 1);
        assert_eq!(service.runs(), 1);
    }

    async fn the_same_may_wait_for_the_first_instead(t: TestRedis) {
        let patient = layer(&Idempotency::new(t.redis.clone())).wait_up_to(Duration::from_secs(20));
        let service = Service::new(patient);
        let first = tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        until(|| service.runs() == 1).await;
        let waiting = tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        let request = service.attempts.lock().unwrap()[0].1.clone();
        until_listening(&t, &request, 1).await;
        service.gate.add_permits(1);
        runs(&Answer::of(first.await.unwrap().unwrap()).await, 1);
        let waited = Answer::of(waiting.await.unwrap().unwrap()).await;
        assert!(waited.is_replay());
        runs(&waited, 1);
        assert_eq!(service.runs(), 1);
    }

    async fn another_request_under_the_same_key_is_refused(t: TestRedis) {
        let service = Service::of(&t);
        runs(&service.post("/x?a=1", "k", "10").await, 1);
        let with_type = |kind: &'static str| {
            let mut request = post("/x?a=1", "k", "10");
            request.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
            request
        };
        let mut patch = post("/x?a=1", "k", "10");
        *patch.method_mut() = Method::PATCH;
        let others = [post("/x?a=1", "k", "20"), post("/x?a=2", "k", "10"), post("/x", "k", "10"), post("/y?a=1", "k", "10"), with_type("text/plain"), patch];
        for other in others {
            let described = format!("{} {}", other.method(), other.uri());
            let answer = service.send(other).await;
            assert!(answer.is_problem(422, "reused"), "{described}: {}", answer.body);
            assert!(answer.body.contains("Idempotency-Key is already used"));
        }
        assert_eq!(service.runs(), 1);
    }

    async fn other_methods_pass_unclaimed(t: TestRedis) {
        let service = Service::of(&t);
        for (number, method) in [Method::GET, Method::GET, Method::PUT, Method::DELETE].into_iter().enumerate() {
            let request = Request::builder().method(method).uri("/x").header("idempotency-key", "k");
            runs(&service.send(request.body(Body::empty()).unwrap()).await, u32::try_from(number).unwrap() + 1);
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
        let deleting = Service::new(layer(&Idempotency::new(t.redis.clone())).methods([Method::DELETE]));
        for _ in 0..2 {
            let request = Request::delete("/x").header("idempotency-key", "k").body(Body::empty()).unwrap();
            runs(&deleting.send(request).await, 1);
        }
    }

    async fn callers_do_not_see_each_others_responses(t: TestRedis) {
        let service = Service::of(&t);
        for (number, user) in ["ann", "bob"].into_iter().enumerate() {
            for _ in 0..2 {
                let mut request = post("/x", "k", "10");
                request.headers_mut().insert("x-user", user.parse().unwrap());
                runs(&service.send(request).await, u32::try_from(number).unwrap() + 1);
            }
        }
        // A scope without an id is a bug of the service, and nothing runs.
        let mut nobody = post("/x", "k", "10");
        nobody.headers_mut().insert("x-user", "".parse().unwrap());
        assert!(service.send(nobody).await.is_problem(500, "internal"));
        assert_eq!(service.runs(), 2);
    }

    async fn what_is_kept_depends_on_the_status(t: TestRedis) {
        let service = Service::of(&t);
        for (path, second_runs) in [("/invalid", false), ("/busy", true), ("/broken", true)] {
            let before = service.runs();
            let first = service.post(path, path.trim_start_matches('/'), "").await;
            let second = service.post(path, path.trim_start_matches('/'), "").await;
            assert_eq!(first.status, second.status);
            assert_eq!((service.runs() - before == 2, second.is_replay()), (second_runs, !second_runs), "{path}");
        }
        let all = Service::new(layer(&Idempotency::new(t.redis.clone())).keep(|_| Keep::Store));
        assert_eq!(all.post("/broken", "all", "").await.status, 500);
        assert!(all.post("/broken", "all", "").await.is_replay());
    }

    async fn a_failure_half_way_is_in_doubt_if_told_so(t: TestRedis) {
        let options = Options::new().takeover(Takeover::InDoubt);
        let service = Service::new(layer(&Idempotency::with_options(t.redis.clone(), options).unwrap()));
        assert_eq!(service.post("/broken", "k", "").await.status, 500);
        let second = service.post("/broken", "k", "").await;
        assert!(second.is_problem(409, "in-doubt"), "{}", second.body);
        assert_eq!(second.header(RETRY_AFTER), None);
        assert_eq!(service.runs(), 1);
    }

    async fn long_and_endless_responses_reach_the_first_and_are_not_kept(t: TestRedis) {
        let service = Service::new(layer(&Idempotency::new(t.redis.clone())).largest_response(1_000));
        assert_eq!(service.post("/large", "a", "").await.body.len(), 2_000);
        runs(&service.post("/stream", "b", "").await, 2);
        for (path, key) in [("/large", "a"), ("/stream", "b")] {
            assert!(service.post(path, key, "").await.is_problem(409, "not-kept"));
        }
        assert_eq!(service.runs(), 2);
    }

    async fn a_request_over_the_limit_is_refused(t: TestRedis) {
        let service = Service::new(layer(&Idempotency::new(t.redis.clone())).largest_request(4));
        assert!(service.post("/x", "k", "12345").await.is_problem(413, "too-large"));
        runs(&service.post("/x", "k", "1234").await, 1);
    }

    async fn a_missing_key_may_be_allowed(t: TestRedis) {
        let service = Service::new(layer(&Idempotency::new(t.redis.clone())).missing_key(MissingKey::RunUnclaimed));
        for number in 1..=2 {
            runs(&service.send(Request::post("/x").body(Body::empty()).unwrap()).await, number);
        }
        assert!(service.post("/x", "a b", "").await.is_problem(400, "malformed"));
    }

    /// The request's future is dropped when the client goes away; the handler is not.
    async fn a_client_that_goes_away_does_not_cut_the_work_short(t: TestRedis) {
        let service = Service::of(&t);
        let running = tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        until(|| service.runs() == 1).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        service.gate.add_permits(1);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !service.post("/slow", "k", "10").await.is_replay() {
            assert!(std::time::Instant::now() < deadline, "the response was not kept");
        }
        assert_eq!(service.runs(), 1);
    }

    async fn a_handler_that_was_taken_over_answers_its_own_client_and_keeps_nothing(t: TestRedis) {
        let service = Service::of(&t);
        let running = tokio::spawn(service.app.clone().oneshot(post("/slow", "k", "10")));
        until(|| service.runs() == 1).await;
        let request = service.attempts.lock().unwrap()[0].1.clone();
        end_lease(&t.redis, &request).await;
        service.gate.add_permits(2);
        let second = service.post("/slow", "k", "10").await;
        let first = Answer::of(running.await.unwrap().unwrap()).await;
        // Both may hold the gate's permit first; each runs once, and one of them is kept for good.
        assert!(first.status.is_success());
        assert!(second.status.is_success() || second.is_problem(409, "outstanding"));
        let kept = service.post("/slow", "k", "10").await;
        assert!(kept.is_replay() && service.runs() <= 2);
        assert!([&first.body, &second.body].contains(&&kept.body));
    }

    async fn bytes_that_are_no_response_are_answered_500_and_nothing_runs(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let service = Service::new(layer(&requests));
        runs(&service.post("/x", "k", "10").await, 1);
        let request = service.attempts.lock().unwrap()[0].1.clone();
        let key = key_of(&t.redis, &request);
        let stored: bytes::Bytes = t.redis.command("GET", &[&key], &Args::new()).await.unwrap();
        let mut broken = stored.to_vec();
        broken[75] = 9;
        let args = Args::new().bytes(&broken).word("PX").int(60_000);
        t.redis.command::<()>("SET", &[&key], &args).await.unwrap();
        assert!(service.post("/x", "k", "10").await.is_problem(500, "internal"));
        assert_eq!(service.runs(), 1);
    }
}

#[tokio::test]
async fn without_redis_requests_are_refused_or_run_unclaimed() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let through = TestRedis::at(&proxy.url()).await;
    let requests = Idempotency::new(through.redis.with_deadline(Duration::from_millis(100)));
    let careful = Service::new(layer(&requests));
    let careless = Service::new(layer(&requests).when_down(WhenDown::RunUnclaimed));
    proxy.refuse();
    proxy.cut_all();
    let refused = careful.post("/x", "k", "").await;
    assert!(refused.is_problem(503, "unavailable"), "{} {}", refused.status, refused.body);
    assert_eq!((refused.header(RETRY_AFTER), careful.runs()), (Some("2"), 0));
    runs(&careless.post("/x", "k", "").await, 1);
    runs(&careless.post("/x", "k", "").await, 2);
    assert!(proxy.counts().cuts + proxy.counts().refused > 0, "the fault did not happen");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let Some(t) = TestRedis::standalone().await else { return };
    let fresh = || layer(&Idempotency::new(t.redis.clone()));
    for name in [
        "set-cookie",
        "authorization",
        "www-authenticate",
        "authentication-info",
        "proxy-authentication-info",
        "connection",
        "date",
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit",
        "traceparent",
        "x-request-id",
    ] {
        assert!(fresh().keep_header(HeaderName::from_static(name)).is_err(), "{name}");
    }
    assert!(fresh().keep_header(HeaderName::from_static("x-run")).is_ok());
    for base in ["", "a b", "https://e.com/\"", "https://e.com/#f", "https://e.com/>"] {
        assert!(fresh().problems_at(base).is_err(), "{base}");
    }
}
