//! What metrics and spans say, and what they must not.

#![allow(clippy::unwrap_used)]

mod common;

use common::log_in;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use redis_patterns_testkit::harness::TestRedis;
use redis_session::{LogIn, Login, Options, Rotation, Sessions, WhenFull};
use std::fmt::{Debug, Write as _};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
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

    let mut counted = Vec::new();
    for (key, _, _, value) in seen.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let DebugValue::Counter(count) = value else { continue };
        counted.push(format!("{} {} {count}", key.key().name(), labels.join(" ")));
    }
    counted.sort();
    let calls = |rest: &str| format!("redis_patterns_session_calls_total {rest}");
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
