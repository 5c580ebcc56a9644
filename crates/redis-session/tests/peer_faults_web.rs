//! Faults that other libraries have had with tokens, codes and cookies, one test each: what would
//! show if they were here. Those that are races of requests are in `http.rs` and `upstream.rs`; what
//! is logged, in `telemetry.rs`.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::routing::get;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::http::{Session, SessionLayer};
use redis_session::{CodeOptions, Codes, Pepper, Purpose, Sessions, Verdict};
use sha2::{Digest as _, Sha256};
use std::num::NonZeroU32;
use std::time::Duration;
use tower::ServiceExt as _;

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
