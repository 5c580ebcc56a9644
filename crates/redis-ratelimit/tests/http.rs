//! Every row of the table in the docs of `redis_ratelimit::http`, through axum; the fields are read by
//! a structured-field parser, the problems by a JSON parser.

mod common;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use axum::routing::any;
use common::{HOUR, key, many, plant};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_ratelimit::http::{By, RateLimitLayer};
use redis_ratelimit::{Decision, FixedWindow, Gate, Policy, RateLimiter, Redis, TokenBucket, WhenDown};
use sfv::{BareItem, List, ListEntry, Parser};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Barrier;
use tower::{Layer as _, Service as _, ServiceExt as _};

/// A service that counts its runs; `/unauthorized` answers 401, `/slow` waits for the gate.
struct Service {
    app: Router,
    runs: Arc<AtomicU32>,
}

impl Service {
    fn new(layers: impl IntoIterator<Item = RateLimitLayer>) -> Self {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let handler = move |path: Path<String>, decision: Option<axum::Extension<Decision>>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let status =
                if path.as_str() == "unauthorized" { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            let say =
                |decision: axum::Extension<Decision>| format!("{} {}", decision.policy, decision.charged);
            async move { (status, decision.map_or(String::new(), say)) }
        };
        let app = Router::new().route("/{kind}", any(handler));
        let app = layers.into_iter().fold(app, |app, layer| app.layer(layer));
        Self { app, runs }
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("x-user", "ann").body(Body::empty()).unwrap();
        Answer::of(self.app.clone().oneshot(request).await.unwrap()).await
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into()).map(|value| value.to_str().unwrap())
    }

    fn has(&self, name: &'static str) -> bool {
        self.headers.contains_key(name)
    }

    fn retry_after(&self) -> i64 {
        self.header(RETRY_AFTER).expect("Retry-After").parse().unwrap()
    }

    /// The items of a list: name, and the two parameters, which must be all there are.
    fn list(&self, field: &'static str, names: [&str; 2]) -> Vec<(String, i64, i64)> {
        let lines = self.headers.get_all(field).iter().map(|line| line.to_str().unwrap());
        let joined = lines.collect::<Vec<_>>().join(", ");
        let list: List = Parser::new(&joined).parse().unwrap_or_else(|error| panic!("{joined}: {error}"));
        let item = |entry: &ListEntry| {
            let ListEntry::Item(item) = entry else { panic!("{joined}: a list inside") };
            let BareItem::String(name) = &item.bare_item else { panic!("{joined}: no string") };
            let number = |name: &str| match item.params.get(name) {
                Some(BareItem::Integer(number)) => i64::from(*number),
                other => panic!("{joined}: {name} is {other:?}"),
            };
            assert_eq!(item.params.len(), 2, "{joined}");
            (name.as_str().to_owned(), number(names[0]), number(names[1]))
        };
        list.iter().map(item).collect()
    }

    fn left(&self) -> Vec<(String, i64, i64)> {
        self.list("ratelimit", ["r", "t"])
    }

    fn policies(&self) -> Vec<(String, i64, i64)> {
        self.list("ratelimit-policy", ["q", "w"])
    }

    /// It is a problem of the layer's own, in the form that RFC 9457 gives.
    fn is_problem(&self, status: u16, kind: &str, violated: &[&str]) {
        assert_eq!(
            (self.status.as_u16(), self.header(CONTENT_TYPE)),
            (status, Some("application/problem+json"))
        );
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((&body["type"], &body["status"]), (&kind.into(), &status.into()), "{body}");
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()));
        match violated {
            [] => assert!(body.get("violated-policies").is_none(), "{body}"),
            names => assert_eq!(body["violated-policies"], serde_json::json!(names)),
        }
    }
}

const QUOTA: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

fn by_user() -> By {
    By::header(HeaderName::from_static("x-user"))
}

fn gate(redis: &Redis, policy: impl Into<Policy>) -> Gate {
    Gate::new(RateLimiter::new(redis.clone(), policy), WhenDown::FailClosed).deadline(Duration::from_secs(5))
}

fn hourly(name: &str, limit: u64) -> FixedWindow {
    FixedWindow::new(name, many(limit), HOUR).unwrap()
}

fn layer(redis: &Redis, limit: u64) -> RateLimitLayer {
    RateLimitLayer::new(gate(redis, hourly("test", limit)), by_user())
}

fn one(name: &str, first: i64, second: i64) -> Vec<(String, i64, i64)> {
    vec![(name.to_owned(), first, second)]
}

on_every_topology! {
    async fn what_is_admitted_is_told_what_is_left(t: TestRedis) {
        let service = Service::new([layer(&t.redis, 3)]);
        for left in [2, 1, 0] {
            let answer = service.get("/x").await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "test 1"), "the handler knows");
            assert_eq!(answer.policies(), one("test", 3, 3_600));
            let told = answer.left();
            assert_eq!((told.len(), told[0].0.as_str(), told[0].1), (1, "test", left));
            assert!((3_590..=3_601).contains(&told[0].2), "{told:?}");
            assert!(!answer.has("retry-after") && !answer.has("x-ratelimit-limit"));
        }
        assert_eq!(service.runs(), 3);
    }

    async fn what_is_denied_never_reaches_the_handler(t: TestRedis) {
        let service = Service::new([layer(&t.redis, 1)]);
        assert_eq!(service.get("/x").await.status, 200);
        for _ in 0..3 {
            let answer = service.get("/x").await;
            answer.is_problem(429, QUOTA, &["test"]);
            assert_eq!(answer.policies(), one("test", 1, 3_600));
            let (left, wait) = (answer.left(), answer.retry_after());
            assert_eq!((left[0].1, left[0].2), (0, wait), "the two waits agree");
            // A key is there until the millisecond of its end is over.
            assert!((3_590..=3_601).contains(&wait), "{wait}");
        }
        assert_eq!(service.runs(), 1);
    }

    /// What was wrong elsewhere: the inner service was called first, and only its future thrown away.
    async fn the_inner_service_is_called_after_the_allow_and_not_before(t: TestRedis) {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let inner = tower::service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Body::empty())))
        });
        let mut service = layer(&t.redis, 1).layer(inner);
        for calls_after in [1, 1] {
            let request = Request::get("/").body(Body::empty()).unwrap();
            let answer = service.ready().await.unwrap().call(request);
            assert!(calls.load(Ordering::SeqCst) <= 1);
            let _ = answer.await.unwrap();
            assert_eq!(calls.load(Ordering::SeqCst), calls_after);
        }
    }

    async fn waits_are_whole_seconds_rounded_up_and_never_zero(t: TestRedis) {
        // A unit comes back in 0.9 s, the whole burst in 1.8 s.
        let bucket = TokenBucket::new("fast", many(2), Duration::from_millis(1_800)).unwrap();
        let service = Service::new([RateLimitLayer::new(gate(&t.redis, bucket), by_user())]);
        let mut denied = 0;
        for _ in 0..50 {
            let answer = service.get("/x").await;
            assert_eq!(answer.policies(), one("fast", 2, 2));
            let wait = answer.left()[0].2;
            assert!((1..=2).contains(&wait), "{wait}");
            if answer.status == 429 {
                denied += 1;
                assert_eq!(answer.retry_after(), 1);
            }
        }
        assert!(denied > 10, "{denied} denied");
    }

    async fn legacy_fields_are_there_if_asked_for(t: TestRedis) {
        let service = Service::new([layer(&t.redis, 1).legacy_headers()]);
        let fields = ["x-ratelimit-limit", "x-ratelimit-remaining"];
        for status in [200, 429] {
            let answer = service.get("/x").await;
            assert_eq!(answer.status, status);
            let told = fields.map(|field| answer.header(HeaderName::from_static(field)).unwrap().to_owned());
            assert_eq!(told, ["1", "0"]);
            let reset: i64 = answer.header(HeaderName::from_static("x-ratelimit-reset")).unwrap().parse().unwrap();
            assert!((3_590..=3_601).contains(&reset));
        }
    }

    async fn layers_inside_each_other_add_to_the_same_fields(t: TestRedis) {
        let by_all = RateLimitLayer::new(gate(&t.redis, hourly("say \"all\"", 5)), By::path());
        let service = Service::new([layer(&t.redis, 2), by_all]);
        let answer = service.get("/x").await;
        assert_eq!(answer.policies(), [one("test", 2, 3_600), one("say %22all%22", 5, 3_600)].concat());
        let left: Vec<_> = answer.left().into_iter().map(|(name, left, _)| (name, left)).collect();
        assert_eq!(left, [("test".to_owned(), 1), ("say %22all%22".to_owned(), 4)]);
    }

    async fn only_failures_count_if_told_so(t: TestRedis) {
        let log_in = layer(&t.redis, 3).count_only(|status| status == StatusCode::UNAUTHORIZED);
        let service = Service::new([log_in]);
        for _ in 0..10 {
            let answer = service.get("/fine").await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "test 0"), "it is the layer's to give back");
            assert!(!answer.has("ratelimit"));
        }
        for left in [2, 1, 0] {
            let answer = service.get("/unauthorized").await;
            assert_eq!((answer.status.as_u16(), answer.left()[0].1), (401, left));
        }
        for path in ["/unauthorized", "/fine"] {
            service.get(path).await.is_problem(429, QUOTA, &["test"]);
        }
        assert_eq!(service.runs(), 13);
    }

    /// A limit that is looked at first and charged afterwards admits all of these.
    async fn failures_sent_all_at_once_are_no_more_than_the_limit(t: TestRedis) {
        let runs = Arc::new(AtomicU32::new(0));
        let (counted, together) = (runs.clone(), Arc::new(Barrier::new(3)));
        // Each one fails only when three of them are inside.
        let handler = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let together = together.clone();
            async move {
                together.wait().await;
                StatusCode::UNAUTHORIZED
            }
        };
        let log_in = layer(&t.redis, 3).count_only(|status| status == StatusCode::UNAUTHORIZED);
        let app = Router::new().route("/", any(handler)).layer(log_in);
        let send = || tokio::spawn(app.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()));
        let mut statuses = Vec::new();
        for sent in (0..60).map(|_| send()).collect::<Vec<_>>() {
            statuses.push(sent.await.unwrap().unwrap().status().as_u16());
        }
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3);
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 57);
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }

    async fn a_shadow_decides_and_never_denies(t: TestRedis) {
        let service = Service::new([layer(&t.redis, 1).shadow()]);
        for _ in 0..4 {
            let answer = service.get("/x").await;
            assert_eq!((answer.status, &answer.body[..4]), (StatusCode::OK, "test"));
            assert!(!answer.has("ratelimit") && !answer.has("ratelimit-policy"));
        }
        assert_eq!(service.runs(), 4);
        let state = t.redis.with_namespace(t.redis.namespace().clone());
        assert_eq!(common::count(&state, &key(&state, "ann")).await, Some(1), "it did charge");
    }

    async fn who_is_counted_is_what_the_extractor_says(t: TestRedis) {
        let nobody = Service::new([RateLimitLayer::new(gate(&t.redis, hourly("test", 1)), By::request(|_| None::<Vec<u8>>))]);
        for _ in 0..3 {
            let answer = nobody.get("/x").await;
            assert_eq!((answer.status.as_u16(), answer.has("ratelimit")), (200, false));
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
        let address = IpAddr::from([192, 0, 2, 7]);
        for (number, by) in [By::client_ip(0, move |_| Some(address)), By::path(), by_user()].into_iter().enumerate() {
            let service = Service::new([RateLimitLayer::new(gate(&t.redis, hourly("test", 1)), by)]);
            let statuses = [service.get("/x").await.status.as_u16(), service.get("/x").await.status.as_u16()];
            assert_eq!(statuses, [200, 429]);
            assert_eq!(t.keys().await.len(), number + 1);
        }
    }

    async fn a_service_that_does_not_know_its_peers_is_told_so(t: TestRedis) {
        let unknown = |layer: RateLimitLayer| Service::new([layer]);
        let by = By::client_ip(0, |_| None);
        let strict = RateLimitLayer::new(gate(&t.redis, hourly("test", 1)), by);
        unknown(strict.clone()).get("/x").await.is_problem(500, "about:blank", &[]);
        assert_eq!(unknown(strict.shadow()).get("/x").await.status, 200);
    }

    async fn a_key_of_another_type_is_a_mistake_and_no_allow(t: TestRedis) {
        plant(&t.redis, &key(&t.redis, "ann"), "no number").await;
        let service = Service::new([layer(&t.redis, 5)]);
        service.get("/x").await.is_problem(500, "about:blank", &[]);
        assert_eq!(service.runs(), 0);
        assert_eq!(Service::new([layer(&t.redis, 5).shadow()]).get("/x").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_answer_is_that_of_the_gate() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    server.node().kill().unwrap();
    let service = |when_down| {
        let gate = Gate::new(RateLimiter::new(t.redis.clone(), hourly("test", 4)), when_down);
        Service::new([RateLimitLayer::new(gate, by_user())])
    };
    let closed = service(WhenDown::FailClosed).get("/x").await;
    closed.is_problem(503, CAPACITY, &["test"]);
    assert_eq!(closed.retry_after(), 1);
    let open = service(WhenDown::FailOpen);
    for runs in 1..=9 {
        let answer = open.get("/x").await;
        assert_eq!((answer.status.as_u16(), answer.has("ratelimit"), open.runs()), (200, false, runs));
    }
    let share = service(WhenDown::LocalShare { processes: 2.try_into().unwrap() });
    let statuses = [share.get("/x").await.status, share.get("/x").await.status, share.get("/x").await.status];
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 200, 503]);
}
