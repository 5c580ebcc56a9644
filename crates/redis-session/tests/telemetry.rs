//! What metrics and spans say, and what they must not.

#![allow(clippy::unwrap_used)]

mod common;

use common::log_in;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use redis_patterns_testkit::harness::TestRedis;
use redis_session::tower_sessions::RedisStore;
use redis_session::{
    Binding, CodeOptions, Codes, LogIn, Login, OneTimeTokens, Options, Pepper, Purpose, Rotation, Sessions,
    WhenFull,
};
use std::fmt::{Debug, Write as _};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower_sessions_core::SessionStore as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Writes down everything that spans and events carry.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), " {}={value:?}", field.name());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Heard {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let _ = write!(self.0.lock().unwrap(), "\n{}", span.metadata().name());
        span.record(&mut self.clone());
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let _ = write!(self.0.lock().unwrap(), "\n{}", event.metadata().target());
        event.record(&mut self.clone());
    }
}

/// Every counter as `name labels count`.
fn counters(seen: &Snapshotter) -> Vec<String> {
    let mut counted = Vec::new();
    for (key, _, _, value) in seen.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let DebugValue::Counter(count) = value else { continue };
        counted.push(format!("{} {} {count}", key.key().name(), labels.join(" ")));
    }
    counted
}

fn calls(rest: &str) -> String {
    format!("redis_patterns_session_calls_total {rest}")
}

/// One thread, so that the recorders of this thread see all.
#[tokio::test]
async fn every_call_is_counted_and_nothing_secret_is_told() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (recorder, heard) = (DebuggingRecorder::new(), Heard::default());
    let seen = recorder.snapshotter();
    let _metrics = metrics::set_default_local_recorder(&recorder);
    let subscriber = tracing_subscriber::registry().with(heard.clone());
    let _spans = tracing::subscriber::set_default(subscriber);

    let one = Options::new().max_sessions(NonZeroU32::MIN, WhenFull::EndOldest);
    let sessions = Sessions::<String>::with_options(t.redis.clone(), one).unwrap();
    let refuses = Options::new().max_sessions(NonZeroU32::MIN, WhenFull::Refuse);
    let refuses = Sessions::<String>::with_options(t.redis.clone(), refuses).unwrap();
    let (user, device, secret) = ("user-Zoe", "device-Zoe", "value-Zoe".to_owned());
    let first = log_in(&sessions, user, &secret).await;
    let login = Login::of(user).device(device);
    let LogIn::Begun(second) = sessions.log_in(login, &secret).await.unwrap() else { panic!() };
    assert_eq!(refuses.log_in(Login::of(user), &secret).await.unwrap(), LogIn::Full);
    assert!(sessions.load(&first).await.unwrap().is_none());
    assert!(sessions.load(&second).await.unwrap().is_some());
    let Rotation::Rotated(third) = sessions.rotate(&second, &secret).await.unwrap() else { panic!() };
    let _ = sessions.modify(&third, |value| value.push('!')).await.unwrap();
    let _ = sessions.list(user).await.unwrap();
    let _ = sessions.revoke_all(user).await.unwrap();
    let broken = Sessions::<u64>::new(t.redis.clone());
    let id = sessions.create(&secret).await.unwrap();
    assert!(broken.load(&id).await.is_err());

    let counted = counters(&seen);
    for expected in [
        calls("log_in done 2"),
        calls("log_in refused 1"),
        calls("load gone 1"),
        calls("load done 2"),
        calls("load error 1"),
        calls("rotate done 1"),
        calls("update_if done 1"),
        calls("revoke_all done 1"),
        calls("create done 1"),
        "redis_patterns_session_evicted_total  1".to_owned(),
    ] {
        assert!(counted.contains(&expected), "{expected} is not in {counted:#?}");
    }

    let heard = heard.0.lock().unwrap().clone();
    assert!(heard.contains("session.load outcome=\"gone\"") || heard.contains("outcome=\"gone\""), "{heard}");
    for id in [&first, &second, &third, &id] {
        let (all, which) = (id.expose(), id.reference().to_string());
        for secret in [&all[..16], &all[32..48], &all[80..], &which[..16]] {
            assert!(!heard.contains(secret), "an id was told: {heard}");
        }
    }
    for name in [user, device, "value-Zoe"] {
        assert!(!heard.contains(name), "{name} was told: {heard}");
    }
    t.delete_keys().await;
}

/// The same of tokens, codes and the store for tower-sessions.
#[tokio::test]
async fn calls_on_tokens_and_codes_are_counted_and_nothing_secret_is_told() {
    const PURPOSE: Purpose = Purpose::new("purpose");
    let Some(t) = TestRedis::standalone().await else { return };
    let (recorder, heard) = (DebuggingRecorder::new(), Heard::default());
    let seen = recorder.snapshotter();
    let _metrics = metrics::set_default_local_recorder(&recorder);
    let _spans = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));

    let tokens = OneTimeTokens::<String>::new(t.redis.clone(), PURPOSE, Duration::from_secs(60)).unwrap();
    let token = tokens.issue("user-Zoe", &"value-Zoe".into()).await.unwrap().issued().unwrap();
    let _too_soon = tokens.issue("user-Zoe", &"value-Zoe".into()).await.unwrap();
    let _ = tokens.peek(&token).await.unwrap();
    let _ = tokens.consume_bound(&token, &Binding::none().stamp("stamp-Zoe")).await.unwrap();
    let _ = tokens.consume(&token).await.unwrap();
    let _ = tokens.consume(&token).await.unwrap();
    let pepper = Pepper::new(&[7; 32]);
    let codes = Codes::<String>::new(t.redis.clone(), PURPOSE, pepper, CodeOptions::new()).unwrap();
    let code = codes.issue("user-Zoe", &"value-Zoe".into()).await.unwrap().issued().unwrap();
    let _ = codes.decoy("nobody-Zoe").await.unwrap();
    let _ = codes.verify("user-Zoe", "guess-Zoe").await.unwrap();
    let _ = codes.verify("user-Zoe", code.expose()).await.unwrap();
    let _ = codes.verify("user-Zoe", code.expose()).await.unwrap();
    let _ = codes.unlock("user-Zoe").await.unwrap();
    let store = RedisStore::new(t.redis.clone());
    let mut record = tower_sessions_core::session::Record {
        id: tower_sessions_core::session::Id::default(),
        data: [("key-Zoe".to_owned(), "value-Zoe".into())].into(),
        expiry_date: time::OffsetDateTime::now_utc() + time::Duration::hours(1),
    };
    store.create(&mut record).await.unwrap();
    let _ = store.load(&record.id).await.unwrap();
    store.delete(&record.id).await.unwrap();
    store.save(&record).await.unwrap();

    let counted = counters(&seen);
    for expected in [
        "token_issue done 1",
        "token_issue refused 1",
        "token_peek done 1",
        "token_consume refused 1",
        "token_consume done 1",
        "token_consume gone 1",
        "code_issue done 2",
        "code_verify refused 1",
        "code_verify done 1",
        "code_verify gone 1",
        "code_unlock gone 1",
        "tower_create done 1",
        "tower_load done 1",
        "tower_delete done 1",
        "tower_save gone 1",
    ] {
        assert!(counted.contains(&calls(expected)), "{expected} is not in {counted:#?}");
    }

    let heard = heard.0.lock().unwrap().clone();
    assert!(heard.contains("session.code_verify") && heard.contains("outcome=\"refused\""), "{heard}");
    let (token, id) = (token.expose(), record.id.to_string());
    let keys = t.keys().await;
    let mut secrets =
        vec!["Zoe", &token[..32], &token[32..], &id, code.expose(), t.redis.namespace().as_str()];
    secrets.extend(keys.iter().map(String::as_str));
    for secret in secrets {
        assert!(!heard.contains(secret), "{secret} was told: {heard}");
    }
    t.delete_keys().await;
}
