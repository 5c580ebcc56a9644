//! The handle that tests get: its namespace, what it sees, and that its keys are gone afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::{self, TestRedis};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::{Topology, connect, primaries};

async fn set(t: &TestRedis, id: &str, ttl_ms: Option<i64>) -> String {
    let key = t.redis.namespace().key("kit", &Tag::of(id));
    let mut args = Args::new().bytes("value");
    if let Some(ttl) = ttl_ms {
        args = args.word("PX").int(ttl);
    }
    let () = t.redis.command("SET", &[&key], &args).await.expect("SET is answered");
    let text = String::from_utf8(key.as_bytes().to_vec());
    text.expect("a key is ASCII")
}

on_every_topology! {
    /// The keys of all slots, with their expiries, and nobody else's.
    async fn the_whole_state_is_seen(t: TestRedis) {
        let mut written = Vec::new();
        for id in 0..50 {
            written.push(set(&t, &id.to_string(), None).await);
        }
        let other = TestRedis::at(t.url()).await;
        assert!(other.keys().await.is_empty(), "another handle has another namespace");
        let short = set(&t, "short", Some(60_000)).await;
        assert!((1..=60_000).contains(&t.ttl_ms(&short).await));
        assert_eq!(t.ttl_ms(&written[0]).await, -1);
        assert_eq!(t.ttl_ms("no-such-key").await, -2);
        written.push(short);
        written.sort_unstable();
        assert_eq!(t.keys().await, written);
    }

    /// What another process would see.
    async fn another_handle_shares_the_keys(t: TestRedis) -> Result<(), redis_patterns_core::Error> {
        set(&t, "shared", None).await;
        let other = t.another().await;
        let key = other.namespace().key("kit", &Tag::of("shared"));
        let value: String = other.command("GET", &[&key], &Args::new()).await?;
        assert_eq!(value, "value");
        other.close().await;
        Ok(())
    }

    async fn admin_connections_reach_every_primary(t: TestRedis) {
        let expected = if t.topology() == Topology::Cluster { 3 } else { 1 };
        assert_eq!(t.admin_nodes().len(), expected);
        assert_eq!(t.admin().cmd(&["PING"]).expect("it answers").text(), "PONG");
    }
}

/// Keys that a test with this end leaves, and whether the end was passed on.
fn left_by(panics: bool) {
    for topology in [Topology::Standalone, Topology::Cluster] {
        static SEEN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
        let ended = catch_unwind(AssertUnwindSafe(|| {
            harness::run("clean-up", topology, move |t: TestRedis| async move {
                let key = set(&t, "left", None).await;
                SEEN.lock().expect("not poisoned").push((t.url().to_owned(), key));
                assert!(!panics, "as told");
            });
        }));
        let seen: Vec<_> = std::mem::take(&mut SEEN.lock().expect("not poisoned"));
        // Empty when this run leaves the topology out.
        assert_eq!(ended.is_err(), panics && !seen.is_empty());
        for (url, key) in seen {
            for mut primary in primaries(&url).expect("the server is still there") {
                match primary.cmd(&["EXISTS", &key]) {
                    Ok(reply) => assert_eq!(reply.int(), Some(0), "{key} was left on {topology}"),
                    Err(moved) => assert_eq!(moved.server_code(), Some("MOVED")),
                }
            }
        }
    }
}

#[test]
fn a_test_leaves_no_keys_however_it_ends() {
    left_by(false);
    left_by(true);
}

#[test]
fn an_error_returned_fails_the_test() {
    let ended = catch_unwind(|| {
        harness::run("error", Topology::Standalone, |_t| async { Err::<(), _>("a reason") });
    });
    let left_out = std::env::var("REDIS_PATTERNS_TOPOLOGY").is_ok_and(|only| only == "cluster");
    assert!(left_out || ended.is_err());
}

mod own {
    use super::*;
    use redis_patterns_testkit::harness::own;
    use redis_patterns_testkit::servers::Options;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_of_its_own_can_be_broken() {
        let server = own::standalone(Options::new()).await;
        let t = TestRedis::at(server.url()).await;
        set(&t, "before", None).await;
        server.node().kill().expect("it can be killed");
        let key = t.redis.namespace().key("kit", &Tag::of("before"));
        assert!(t.redis.command::<Option<String>>("GET", &[&key], &Args::new()).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sentinel_url_leads_to_the_primary() {
        let servers = own::sentinel(Options::new()).await;
        let t = TestRedis::at(servers.url()).await;
        let key = set(&t, "by-sentinel", None).await;
        let primary = servers.primary().expect("there is one");
        let mut conn = primary.conn().expect("it answers");
        assert_eq!(conn.cmd(&["GET", &key]).expect("it answers").text(), "value");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_with_a_password_is_used_through_its_url() {
        let cluster = own::cluster(Options::new().password("p@ss/word")).await;
        let t = TestRedis::at(cluster.url()).await;
        let key = set(&t, "in-cluster", None).await;
        assert_eq!(t.keys().await, [key]);
    }

    #[cfg(feature = "tls")]
    #[tokio::test(flavor = "multi_thread")]
    async fn tls_connects_with_its_authority_and_not_without() {
        use redis_patterns_core::Redis;
        let server = own::tls(Options::new()).await;
        let redis = Redis::builder(server.url()).tls_ca_pem(server.ca_pem()).connect().await;
        let redis = redis.expect("it connects with the authority");
        let key = redis.namespace().key("kit", &Tag::of("tls"));
        let () = redis.command("SET", &[&key], &Args::new().bytes("v")).await.expect("it writes");
        redis.close().await;
        let ca = std::fs::read_to_string(server.ca_path()).expect("the file is there");
        assert_eq!(ca, server.ca_pem());
        assert!(Redis::connect(server.url()).await.is_err(), "an unknown authority is refused");
        let plain = connect(&server.url().replace("rediss://", "redis://"));
        assert!(plain.is_err(), "the TLS port speaks no plain text");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_is_there_for_a_test() {
        let postgres = own::postgres().await;
        assert!(postgres.url().starts_with("postgres"));
    }

    #[cfg(feature = "containers")]
    #[tokio::test(flavor = "multi_thread")]
    async fn a_container_is_a_server_of_a_test() {
        use redis_patterns_testkit::harness::container;
        match container::redis().await {
            Ok(server) => {
                let t = TestRedis::at(server.url()).await;
                let key = set(&t, "in-container", Some(1_000)).await;
                assert!(t.ttl_ms(&key).await > 0);
                let version = t.admin().info("server", "redis_version").expect("it answers");
                assert!(version.starts_with("8."), "{version}");
            }
            Err(why) => harness::skip("a_container_is_a_server_of_a_test", &why.to_string()),
        }
    }
}
