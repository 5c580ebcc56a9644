//! The cases that tower-sessions has its own stores pass, written anew, against both of its versions;
//! and the races that its published Redis store loses.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use tokio::sync::Semaphore;

/// What a test looks at of an answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    cookie: Option<String>,
    body: String,
}

impl Answer {
    /// `name=value`, as a browser sends it back.
    fn pair(&self) -> &str {
        self.cookie.as_ref().expect("a cookie was set").split(';').next().unwrap()
    }

    fn max_age(&self) -> Option<i64> {
        let cookie = self.cookie.as_ref().expect("a cookie was set");
        let value = cookie.split("; ").find_map(|part| part.strip_prefix("Max-Age="))?;
        Some(value.parse().unwrap())
    }

    fn has(&self, attribute: &str) -> bool {
        self.cookie.as_ref().is_some_and(|cookie| cookie.split("; ").any(|part| part == attribute))
    }
}

/// About an hour or a day: tests run on machines that stall.
fn about(actual: Option<i64>, seconds: i64) -> bool {
    actual.is_some_and(|actual| actual <= seconds && actual > seconds - 60)
}

/// Lets a handler wait in its middle until the test lets it go on.
#[derive(Clone)]
struct Gate {
    reached: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { reached: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.opened.acquire().await.unwrap().forget();
    }

    async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    fn open(&self) {
        self.opened.add_permits(1);
    }
}

macro_rules! against {
    ($version:ident, $crate_name:ident) => {
        mod $version {
            use super::{Answer, Gate, about};
            use axum::Router;
            use axum::body::{Body, to_bytes};
            use axum::extract::Path;
            use axum::http::header::{COOKIE, SET_COOKIE};
            use axum::http::Request;
            use axum::routing::get;
            use redis_patterns_testkit::harness::TestRedis;
            use redis_patterns_testkit::on_every_topology;
            use redis_session::tower_sessions::{RedisStore, WhenGone};
            use time::{Duration, OffsetDateTime};
            use tower::ServiceExt as _;
            use $crate_name::{Expiry, Session, SessionManagerLayer};

            const HOUR: i64 = 3_600;
            const DAY: i64 = 24 * HOUR;

            /// One route per thing that a handler can do with a session.
            fn app(layer: SessionManagerLayer<RedisStore>, gate: &Gate) -> Router {
                let gate = gate.clone();
                let act = move |Path(what): Path<String>, session: Session| {
                    let gate = gate.clone();
                    async move { act(&what, &session, &gate).await }
                };
                Router::new().route("/{what}", get(act)).layer(layer)
            }

            /// What a handler does, and what it answers.
            async fn act(what: &str, session: &Session, gate: &Gate) -> String {
                match what {
                    "get" => return format!("{:?}", session.get::<u32>("foo").await.unwrap()),
                    "get_bar" => return format!("{:?}", session.get::<u32>("bar").await.unwrap()),
                    "hello" => {}
                    "insert" => session.insert("foo", 42).await.unwrap(),
                    "remove" => drop(session.remove::<u32>("foo").await.unwrap()),
                    "cycle_id" => session.cycle_id().await.unwrap(),
                    "flush" => session.flush().await.unwrap(),
                    "set_expiry" => {
                        let then = OffsetDateTime::now_utc() + Duration::days(1);
                        session.set_expiry(Some(Expiry::AtDateTime(then)));
                    }
                    "remove_expiry" => session.set_expiry(Some(Expiry::OnSessionEnd)),
                    "slow_insert_bar" => {
                        let _ = session.get::<u32>("foo").await.unwrap();
                        gate.pass().await;
                        session.insert("bar", 7).await.unwrap();
                    }
                    "slow_look" => {
                        let _ = session.get::<u32>("foo").await.unwrap();
                        gate.pass().await;
                    }
                    "slow_log_in" => {
                        let _ = session.get::<u32>("foo").await.unwrap();
                        gate.pass().await;
                        session.cycle_id().await.unwrap();
                    }
                    other => panic!("no route {other}"),
                }
                String::new()
            }

            /// A service with sessions of an idle hour, and what its slow handlers wait at.
            struct Service {
                app: Router,
                gate: Gate,
            }

            impl Service {
                fn of(t: &TestRedis) -> Self {
                    Self::with(RedisStore::new(t.redis.clone()), Some(Duration::hours(1)))
                }

                fn with(store: RedisStore, idle: Option<Duration>) -> Self {
                    let mut layer = SessionManagerLayer::new(store);
                    if let Some(idle) = idle {
                        layer = layer.with_expiry(Expiry::OnInactivity(idle));
                    }
                    Self::under(layer)
                }

                fn under(layer: SessionManagerLayer<RedisStore>) -> Self {
                    let gate = Gate::new();
                    Self { app: app(layer, &gate), gate }
                }

                async fn get(&self, what: &str, cookie: &str) -> Answer {
                    let mut request = Request::builder().uri(format!("/{what}"));
                    if !cookie.is_empty() {
                        request = request.header(COOKIE, cookie);
                    }
                    let request = request.body(Body::empty()).unwrap();
                    let response = self.app.clone().oneshot(request).await.unwrap();
                    let (head, body) = response.into_parts();
                    let body = to_bytes(body, 1 << 20).await.unwrap();
                    Answer {
                        status: head.status.as_u16(),
                        cookie: head.headers.get(SET_COOKIE).map(|value| value.to_str().unwrap().to_owned()),
                        body: String::from_utf8(body.to_vec()).unwrap(),
                    }
                }

                /// Starts a slow request; it is done when its gate opens.
                async fn start(&self, what: &'static str, cookie: &str) -> tokio::task::JoinHandle<Answer> {
                    let (twin, cookie) = (Self { app: self.app.clone(), gate: self.gate.clone() }, cookie.to_owned());
                    let running = tokio::spawn(async move { twin.get(what, &cookie).await });
                    self.gate.reached().await;
                    running
                }
            }

            on_every_topology! {
                async fn no_session_is_set(t: TestRedis) {
                    let answer = Service::of(&t).get("hello", "").await;
                    assert_eq!((answer.status, answer.cookie), (200, None));
                    assert!(t.keys().await.is_empty(), "an empty session was stored");
                }

                async fn a_bogus_cookie_is_not_adopted(t: TestRedis) {
                    let bogus = "id=AAAAAAAAAAAAAAAAAAAAAA";
                    let answer = Service::of(&t).get("insert", bogus).await;
                    assert_eq!(answer.status, 200);
                    assert_ne!(answer.pair(), bogus);
                }

                async fn a_malformed_cookie_is_removed(t: TestRedis) {
                    let service = Service::of(&t);
                    for malformed in ["id=malformed", "id=AAAAAAAAAAAAAAAAAAAAAAA", "id=%00"] {
                        let answer = service.get("hello", malformed).await;
                        assert_eq!(answer.status, 200);
                        assert_eq!((answer.pair(), answer.max_age()), ("id=", Some(0)));
                    }
                }

                async fn a_session_is_set_and_read(t: TestRedis) {
                    let service = Service::of(&t);
                    let set = service.get("insert", "").await;
                    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
                        assert!(set.has(attribute), "{set:?}");
                    }
                    assert!(set.pair().starts_with("id=") && about(set.max_age(), HOUR), "{set:?}");
                    assert_eq!(service.get("get", set.pair()).await.body, "Some(42)");
                    assert_eq!(service.get("get", "").await.body, "None");
                }

                async fn a_session_without_expiry_has_no_max_age(t: TestRedis) {
                    let service = Service::with(RedisStore::new(t.redis.clone()), None);
                    let set = service.get("insert", "").await;
                    assert_eq!(set.max_age(), None);
                    let [key] = &t.keys().await[..] else { panic!() };
                    assert!(t.ttl_ms(key).await > 0, "every key has a TTL");
                }

                async fn the_last_value_is_removed(t: TestRedis) {
                    let service = Service::of(&t);
                    let set = service.get("insert", "").await;
                    let _ = service.get("remove", set.pair()).await;
                    assert_eq!(service.get("get", set.pair()).await.body, "None");
                }

                async fn an_id_is_cycled(t: TestRedis) {
                    let service = Service::of(&t);
                    let first = service.get("insert", "").await;
                    let second = service.get("cycle_id", first.pair()).await;
                    assert_ne!(first.pair(), second.pair());
                    assert_eq!(service.get("get", second.pair()).await.body, "Some(42)");
                    assert_eq!(service.get("get", first.pair()).await.body, "None");
                    let third = service.get("cycle_id", second.pair()).await;
                    assert_eq!(service.get("get", third.pair()).await.body, "Some(42)");
                }

                async fn an_id_is_cycled_before_anything_is_stored(t: TestRedis) {
                    let answer = Service::of(&t).get("cycle_id", "").await;
                    assert_eq!(answer.status, 200);
                }

                async fn a_session_is_flushed(t: TestRedis) {
                    let service = Service::of(&t);
                    let set = service.get("insert", "").await;
                    let flushed = service.get("flush", set.pair()).await;
                    assert_eq!((flushed.pair(), flushed.max_age()), ("id=", Some(0)));
                    assert!(flushed.has("Path=/"));
                    assert_eq!(service.get("get", set.pair()).await.body, "None");
                    // Twice is no error.
                    assert_eq!(service.get("flush", set.pair()).await.status, 200);
                }

                async fn an_expiry_is_changed(t: TestRedis) {
                    let service = Service::of(&t);
                    let set = service.get("insert", "").await;
                    assert!(about(set.max_age(), HOUR));
                    let day = service.get("set_expiry", set.pair()).await;
                    assert!(about(day.max_age(), DAY));
                    let [key] = &t.keys().await[..] else { panic!() };
                    assert!(about(Some(t.ttl_ms(key).await / 1_000), DAY));
                    assert_eq!(service.get("remove_expiry", set.pair()).await.max_age(), None);
                    assert_eq!(service.get("get", set.pair()).await.body, "Some(42)");
                }

                // Here upstream's cases end and the races begin.

                async fn parallel_writers_of_different_keys_both_keep_theirs(t: TestRedis) {
                    let service = Service::of(&t);
                    let cookie = service.get("cycle_id", service.get("insert", "").await.pair()).await;
                    let _ = service.get("remove", cookie.pair()).await;
                    let slow = service.start("slow_insert_bar", cookie.pair()).await;
                    let _ = service.get("insert", cookie.pair()).await;
                    service.gate.open();
                    assert_eq!(slow.await.unwrap().status, 200);
                    assert_eq!(service.get("get", cookie.pair()).await.body, "Some(42)", "the first write is lost");
                    assert_eq!(service.get("get_bar", cookie.pair()).await.body, "Some(7)", "the second write is lost");
                }

                /// Each request prolongs the session, and overwrites nothing by it.
                async fn saving_always_loses_no_change_of_others(t: TestRedis) {
                    let layer = SessionManagerLayer::new(RedisStore::new(t.redis.clone())).with_always_save(true);
                    let service = Service::under(layer.with_expiry(Expiry::OnInactivity(Duration::hours(1))));
                    let cookie = service.get("insert", "").await;
                    let key = t.keys().await.remove(0);
                    let slow = service.start("slow_look", cookie.pair()).await;
                    let _ = service.get("remove", cookie.pair()).await;
                    for mut node in t.admin_nodes() {
                        let _ = node.cmd(&["PEXPIRE", &key, "60000"]);
                    }
                    service.gate.open();
                    assert!(about(slow.await.unwrap().max_age(), HOUR));
                    assert!(about(Some(t.ttl_ms(&key).await / 1_000), HOUR), "it was not prolonged");
                    assert_eq!(service.get("get", cookie.pair()).await.body, "None");
                }

                async fn what_one_request_removed_another_does_not_write_again(t: TestRedis) {
                    let service = Service::of(&t);
                    let cookie = service.get("insert", "").await;
                    let slow = service.start("slow_insert_bar", cookie.pair()).await;
                    let _ = service.get("remove", cookie.pair()).await;
                    service.gate.open();
                    let _ = slow.await.unwrap();
                    assert_eq!(service.get("get", cookie.pair()).await.body, "None");
                }

                async fn a_log_out_during_a_slow_request_is_not_undone(t: TestRedis) {
                    let service = Service::of(&t);
                    let cookie = service.get("insert", "").await;
                    let slow = service.start("slow_insert_bar", cookie.pair()).await;
                    let _ = service.get("flush", cookie.pair()).await;
                    service.gate.open();
                    let slow = slow.await.unwrap();
                    for pair in [cookie.pair(), slow.pair()] {
                        assert_eq!(service.get("get", pair).await.body, "None");
                        assert_eq!(service.get("get_bar", pair).await.body, "None");
                    }
                }

                async fn a_log_out_during_a_slow_request_fails_it_if_asked_to(t: TestRedis) {
                    let store = RedisStore::new(t.redis.clone()).when_gone(WhenGone::Fail);
                    let service = Service::with(store, Some(Duration::hours(1)));
                    let cookie = service.get("insert", "").await;
                    let slow = service.start("slow_insert_bar", cookie.pair()).await;
                    let _ = service.get("flush", cookie.pair()).await;
                    service.gate.open();
                    let slow = slow.await.unwrap();
                    assert_eq!((slow.status, slow.cookie), (500, None));
                }

                async fn a_log_out_during_a_log_in_is_not_undone_under_another_id(t: TestRedis) {
                    let service = Service::of(&t);
                    let cookie = service.get("insert", "").await;
                    let slow = service.start("slow_log_in", cookie.pair()).await;
                    let _ = service.get("flush", cookie.pair()).await;
                    service.gate.open();
                    let slow = slow.await.unwrap();
                    assert_eq!((slow.status, slow.cookie), (500, None));
                    assert_eq!(service.get("get", cookie.pair()).await.body, "None");
                }
            }
        }
    };
}

against!(v0_15, tower_sessions);
against!(v0_14, tower_sessions_014);
