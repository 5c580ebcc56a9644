//! Faults that other stores have had with sessions, one test each: what would show if they were here.
//! Races of requests are in `races.rs`; those of cookies, tokens and codes in `peer_faults_web.rs`.

#![allow(clippy::unwrap_used)]

mod common;

use common::{log_in, value};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{Rotation, SessionId, Sessions, Update};

on_every_topology! {
    /// A save without a look whether the session is there: the log-out was undone by the next one.
    async fn a_write_to_a_revoked_session_creates_nothing(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &1).await;
        let _ = sessions.revoke(&id).await.unwrap();
        assert_eq!(sessions.update(&id, &2).await.unwrap(), Update::Gone);
        assert_eq!(sessions.modify(&id, |value| *value = 2).await.unwrap(), Update::Gone);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    /// An id that the client made up became a session of that id.
    async fn an_id_from_outside_is_never_adopted(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let made_up = SessionId::parse(&"ab".repeat(48)).unwrap();
        assert_eq!(value(&sessions, &made_up).await, None);
        assert_eq!(sessions.update(&made_up, &1).await.unwrap(), Update::Gone);
        assert_eq!(sessions.rotate(&made_up, &1).await.unwrap(), Rotation::Gone);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    /// A second, wrong place for a right secret: the index of one user vouched for a session of another.
    async fn an_id_moved_to_another_users_place_is_unknown(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let (ann, bob) = (log_in(&sessions, "ann", &1).await, log_in(&sessions, "bob", &2).await);
        let mixed = format!("{}{}", &bob.expose()[..32], &ann.expose()[32..]);
        let mixed = SessionId::parse(&mixed).unwrap();
        assert_eq!(value(&sessions, &mixed).await, None);
        assert_eq!(sessions.update(&mixed, &3).await.unwrap(), Update::Gone);
    }

    /// The index was kept by expiry events, which are lossy: it grew for ever, or told of ghosts.
    async fn the_index_tells_of_no_ghost(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let (ghost, id) = (log_in(&sessions, "42", &1).await, log_in(&sessions, "42", &2).await);
        let name = t.keys().await.into_iter().find(|key| key.ends_with(&ghost.reference().to_string())).unwrap();
        for mut node in t.admin_nodes() {
            // In a cluster only one node has the key.
            let _ = node.cmd(&["PEXPIREAT", &name, "1"]);
        }
        let listed = sessions.list("42").await.unwrap();
        assert_eq!(listed.iter().map(|device| device.session).collect::<Vec<_>>(), [id.reference()]);
    }

    /// A crash between several commands left keys without a TTL, or half a session.
    async fn every_key_has_a_ttl_at_every_moment(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &1).await;
        let check = async || for key in t.keys().await {
            assert!(t.ttl_ms(&key).await > 0, "{key}");
        };
        check().await;
        let _ = sessions.update(&id, &2).await.unwrap();
        check().await;
        let Rotation::Rotated(id) = sessions.rotate(&id, &3).await.unwrap() else { panic!() };
        check().await;
        let _other = log_in(&sessions, "42", &4).await;
        let _ = sessions.revoke_others(&id).await.unwrap();
        check().await;
        let _ = sessions.extend(&id).await.unwrap();
        check().await;
    }

    /// The script cache was empty after a restart or failover, and every write failed.
    async fn a_server_that_forgot_the_scripts_serves_all_the_same(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &1).await;
        for mut node in t.admin_nodes() {
            node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
        }
        assert_eq!(value(&sessions, &id).await, Some(1));
        assert_eq!(sessions.update(&id, &2).await.unwrap(), Update::Updated);
    }

    /// An index that is lost, as by an eviction: the sessions lived on, out of reach of any log-out.
    async fn sessions_without_their_index_are_over(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &1).await;
        let index = t.keys().await.into_iter().find(|key| key.ends_with(":index")).unwrap();
        for mut node in t.admin_nodes() {
            let _ = node.cmd(&["DEL", &index]);
        }
        assert_eq!(sessions.update(&id, &2).await.unwrap(), Update::Gone);
        assert_eq!(value(&sessions, &id).await, None);
    }
}
