//! Faults that other libraries have had with tokens, codes and cookies, one test each: what would
//! show if they were here. Those that are races of requests are in `http.rs` and `upstream.rs`.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::routing::get;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::http::{Session, SessionLayer};
use redis_session::tower_sessions::RedisStore;
use redis_session::{CodeOptions, Codes, LogIn, Login, OneTimeTokens, Pepper, Purpose, Sessions, Verdict};
use sha2::{Digest as _, Sha256};
use std::fmt::{Debug, Write as _};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt as _;
use tower_sessions_core::SessionStore as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const LOGIN: Purpose = Purpose::new("log-in code");
const PEPPER: [u8; 32] = [7; 32];

fn codes(t: &TestRedis, attempts: u32) -> Codes<u64> {
    let attempts = NonZeroU32::new(attempts).unwrap();
    let options = CodeOptions::new().attempts(attempts).failures(NonZeroU32::MAX, Duration::from_secs(3_600));
    Codes::new(t.redis.clone(), LOGIN, Pepper::new(&PEPPER), options.cool_down(Duration::ZERO)).unwrap()
}

fn wrong(code: &str) -> String {
    format!("{}{}", if code.starts_with('0') { '1' } else { '0' }, &code[1..])
}

async fn field(t: &TestRedis, key: &str, field: &str) -> Vec<u8> {
    for mut node in t.admin_nodes() {
        if let Ok(redis_patterns_testkit::servers::resp::Reply::Bulk(bytes)) = node.cmd(&["HGET", key, field])
        {
            return bytes;
        }
    }
    panic!("no field {field}")
}

on_every_topology! {
    /// A wrong guess took the code out and put it back: a right one beside it found none.
    async fn a_right_guess_beside_wrong_ones_is_right(t: TestRedis) {
        let codes = codes(&t, 5);
        for _ in 0..30 {
            let code = codes.issue("ann", &1).await.unwrap().issued().unwrap();
            let mut guesses = vec![wrong(code.expose()); 4];
            guesses.insert(2, code.expose().to_owned());
            let tasks: Vec<_> = guesses.into_iter().map(|guess| {
                let codes = codes.clone();
                tokio::spawn(async move { codes.verify("ann", &guess).await.unwrap() })
            }).collect();
            let mut right = 0;
            for task in tasks {
                right += u32::from(task.await.unwrap() == Verdict::Right(1));
            }
            assert_eq!(right, 1);
        }
    }

    /// A bare hash of six digits is undone by trying a million.
    async fn a_dump_without_the_pepper_does_not_tell_a_code(t: TestRedis) {
        let code = codes(&t, 5).issue("ann", &1).await.unwrap().issued().unwrap();
        let key = t.keys().await.remove(0);
        let mac = field(&t, &key, "mac").await;
        assert_eq!(mac.len(), 32);
        assert_ne!(mac, Sha256::digest(code.expose()).to_vec());
        // The same code of the same identity under another pepper is stored as something else.
        t.delete_keys().await;
        let mut seen = Vec::new();
        for pepper in [PEPPER, [8; 32]] {
            let codes = Codes::<u64>::new(t.redis.clone(), LOGIN, Pepper::new(&pepper), CodeOptions::new()).unwrap();
            let _ = codes.issue("ann", &1).await.unwrap();
            seen.push(t.keys().await.len());
        }
        assert_eq!(seen, [1, 2], "one place for both peppers: who reads Redis can test for identities");
    }

    /// Requests that only read did not keep their user logged in.
    async fn a_request_that_reads_keeps_the_session_alive(t: TestRedis) {
        let read = async |session: Session<u32>| format!("{:?}", session.get().await.unwrap());
        let write = async |session: Session<u32>| session.change(|value| *value += 1).await.unwrap();
        let layer = SessionLayer::new(Sessions::<u32>::new(t.redis.clone()));
        let app: Router = Router::new().route("/", get(read)).route("/write", get(write)).layer(layer);
        let send = async |path: &str, cookie: &str| {
            let request = Request::builder().uri(path).header(COOKIE, cookie).body(Body::empty());
            app.clone().oneshot(request.unwrap()).await.unwrap()
        };
        let set = send("/write", "").await;
        let cookie = set.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let key = t.keys().await.remove(0);
        for mut node in t.admin_nodes() {
            let _ = node.cmd(&["PEXPIRE", &key, "60000"]);
        }
        let _ = send("/", &cookie).await;
        assert!(t.ttl_ms(&key).await > 60_000, "a read did not start the idle time anew");
    }
}

/// All that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        writeln!(self.0.lock().unwrap(), "{}", span.metadata().name()).unwrap();
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Ids in logs let their readers in.
#[tokio::test]
async fn no_id_token_code_or_user_is_logged() {
    let Some(t) = TestRedis::standalone().await else { return };
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());

    let sessions = Sessions::<String>::new(t.redis.clone());
    let LogIn::Begun(id) =
        sessions.log_in(Login::of("SUBJECT").device("DEVICE"), &"VALUE".into()).await.unwrap()
    else {
        panic!()
    };
    let _ = sessions.load(&id).await.unwrap();
    let _ = sessions.update(&id, &"VALUE".into()).await.unwrap();
    let _ = sessions.list("SUBJECT").await.unwrap();
    let tokens = OneTimeTokens::<String>::new(t.redis.clone(), LOGIN, Duration::from_secs(60)).unwrap();
    let token = tokens.issue("SUBJECT", &"VALUE".into()).await.unwrap().issued().unwrap();
    let _ = tokens.peek(&token).await.unwrap();
    let _ = tokens.consume(&token).await.unwrap();
    let codes = codes(&t, 5);
    let code = codes.issue("SUBJECT", &1).await.unwrap().issued().unwrap();
    let _ = codes.verify("SUBJECT", &wrong(code.expose())).await.unwrap();
    let _ = codes.verify("SUBJECT", code.expose()).await.unwrap();
    let store = RedisStore::new(t.redis.clone());
    let mut record = tower_sessions_core::session::Record {
        id: tower_sessions_core::session::Id(42),
        data: [("KEY".to_owned(), "VALUE".into())].into(),
        expiry_date: time::OffsetDateTime::now_utc() + time::Duration::hours(1),
    };
    store.create(&mut record).await.unwrap();
    let _ = store.load(&record.id).await.unwrap();
    store.delete(&record.id).await.unwrap();
    store.save(&record).await.unwrap();

    drop(logging);
    let keys = t.keys().await;
    t.delete_keys().await;
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("redis.call"), "nothing was caught:\n{log}");
    let (id, token) = (id.expose(), token.expose());
    let mut secrets =
        vec!["SUBJECT", "DEVICE", "VALUE", "KEY", &id[..32], &id[32..], &token[..32], &token[32..]];
    secrets.extend([code.expose(), t.redis.namespace().as_str()]);
    secrets.extend(keys.iter().map(String::as_str));
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} was logged:\n{log}");
    }
}
