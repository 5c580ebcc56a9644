//! The store of tower-sessions alone, without its middleware, against both versions of the trait.

#![allow(clippy::unwrap_used)]

use redis_patterns_testkit::harness::TestRedis;

const HOUR: i64 = 3_600;

macro_rules! against {
    ($version:ident, $core:ident) => {
        mod $version {
            use super::HOUR;
            use redis_patterns_testkit::harness::{TestRedis, eventually};
            use redis_patterns_testkit::on_every_topology;
            use redis_session::tower_sessions::RedisStore;
            use std::collections::HashMap;
            use time::{Duration, OffsetDateTime};
            use $core::SessionStore;
            use $core::session::{Id, Record};

            fn record(value: i32, seconds: i64) -> Record {
                Record {
                    id: Id::default(),
                    data: HashMap::from([("foo".to_owned(), value.into())]),
                    expiry_date: OffsetDateTime::now_utc() + Duration::seconds(seconds),
                }
            }

            on_every_topology! {
                async fn a_record_comes_back_as_it_was(t: TestRedis) {
                    let store = RedisStore::new(t.redis.clone());
                    let mut created = record(1, HOUR);
                    store.create(&mut created).await.unwrap();
                    assert_eq!(store.load(&created.id).await.unwrap(), Some(created.clone()));
                    let [key] = &t.keys().await[..] else { panic!() };
                    assert!(!key.contains(&created.id.to_string()), "an id in Redis");
                    store.delete(&created.id).await.unwrap();
                    assert_eq!(store.load(&created.id).await.unwrap(), None);
                    store.save(&created).await.unwrap();
                    assert_eq!(store.load(&created.id).await.unwrap(), None, "a save brought it back");
                }

                async fn an_id_that_is_taken_is_replaced(t: TestRedis) {
                    let store = RedisStore::new(t.redis.clone());
                    let (mut first, mut second) = (record(1, HOUR), record(2, HOUR));
                    store.create(&mut first).await.unwrap();
                    second.id = first.id;
                    store.create(&mut second).await.unwrap();
                    assert_ne!(first.id, second.id);
                    assert_eq!(store.load(&first.id).await.unwrap().unwrap().data["foo"], 1);
                    assert_eq!(store.load(&second.id).await.unwrap().unwrap().data["foo"], 2);
                }

                async fn a_record_of_the_callers_own_is_saved_whole(t: TestRedis) {
                    let store = RedisStore::new(t.redis.clone());
                    let mut created = record(1, HOUR);
                    store.create(&mut created).await.unwrap();
                    let mut other = record(2, HOUR);
                    (other.id, other.data) = (created.id, HashMap::from([("bar".to_owned(), 3.into())]));
                    store.save(&other).await.unwrap();
                    let loaded = store.load(&created.id).await.unwrap().unwrap();
                    assert_eq!((loaded.data.get("foo"), &loaded.data["bar"]), (None, &3.into()));
                }

                /// What a skewed clock of the application amounts to.
                async fn a_session_that_ends_in_the_past_is_gone(t: TestRedis) {
                    let store = RedisStore::new(t.redis.clone());
                    let mut created = record(1, HOUR);
                    store.create(&mut created).await.unwrap();
                    created.expiry_date -= Duration::days(1);
                    store.save(&created).await.unwrap();
                    eventually("it ends", || async {
                        store.load(&created.id).await.unwrap().is_none()
                    }).await;
                }

                async fn stored_bytes_that_cannot_be_read_are_an_error_that_quotes_nothing(t: TestRedis) {
                    let store = RedisStore::new(t.redis.clone());
                    let mut created = record(1, HOUR);
                    store.create(&mut created).await.unwrap();
                    let key = t.keys().await.remove(0);
                    for (field, value) in [("expiry", "SECRET"), ("=foo", "SECRET"), ("=foo", "\u{a7}\u{1}\u{1}SECRET")] {
                        for mut node in t.admin_nodes() {
                            let _ = node.cmd(&["HSET", &key, field, value]);
                        }
                        let error = store.load(&created.id).await.unwrap_err();
                        assert!(matches!(error, $core::session_store::Error::Decode(_)), "{error:?}");
                        assert!(!format!("{error:?}").contains("SECRET"));
                    }
                    store.delete(&created.id).await.unwrap();
                    assert_eq!(store.load(&created.id).await.unwrap(), None);
                }
            }
        }
    };
}

against!(v0_15, tower_sessions_core);
against!(v0_14, tower_sessions_core_014);

/// A session written by one version is read by the other: who upgrades logs nobody out.
#[tokio::test]
async fn sessions_outlive_an_upgrade() {
    use redis_session::tower_sessions::RedisStore;
    let Some(t) = TestRedis::standalone().await else { return };
    let store = RedisStore::new(t.redis.clone());
    let mut old = tower_sessions_core_014::session::Record {
        id: tower_sessions_core_014::session::Id(42),
        data: [("foo".to_owned(), 1.into())].into(),
        expiry_date: time::OffsetDateTime::now_utc() + time::Duration::hours(1),
    };
    tower_sessions_core_014::SessionStore::create(&store, &mut old).await.unwrap();
    let id = tower_sessions_core::session::Id(42);
    let new = tower_sessions_core::SessionStore::load(&store, &id).await.unwrap().unwrap();
    assert_eq!((new.data, new.expiry_date), (old.data, old.expiry_date));
    t.delete_keys().await;
}
