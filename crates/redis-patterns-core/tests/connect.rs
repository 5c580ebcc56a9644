//! Connections to every kind of server, and one clear line for each that cannot be made.

use redis_patterns_core::{Args, ErrorKind, Redis, Tag};
use redis_patterns_testkit::harness::own;
use redis_patterns_testkit::servers::Options;
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

async fn works(redis: &Redis) {
    let key = redis.namespace().key("t", &Tag::of("k"));
    redis.command::<()>("SET", &[&key], &Args::new().bytes("v")).await.unwrap();
    let value: String = redis.command("GET", &[&key], &Args::new()).await.unwrap();
    assert_eq!(value, "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone_with_a_password() {
    let server = own::standalone(Options::new().password("pa:ss@word/%")).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    works(&redis).await;
    let error = Redis::connect(&format!("redis://{}", server.node().address())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    let error = Redis::connect(&format!("redis://:wrong@{}", server.node().address())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_group_before_and_after_a_failover() {
    let group = own::sentinel(Options::new()).await;
    let redis =
        Redis::builder(group.url()).command_deadline(Duration::from_secs(20)).connect().await.unwrap();
    works(&redis).await;
    let group = tokio::task::spawn_blocking(move || {
        group.failover().unwrap();
        group
    })
    .await
    .unwrap();
    let key = redis.namespace().key("t", &Tag::of("after"));
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = redis.command::<()>("SET", &[&key], &Args::new().bytes("v")).await {
        assert!(error.is_passing() && Instant::now() < until, "{error}");
    }
    drop(group);
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn tls_with_the_right_authority_only() {
    let server = own::tls(Options::new()).await;
    let redis = Redis::builder(server.url()).tls_ca_pem(server.ca_pem()).connect().await.unwrap();
    works(&redis).await;
    let error = Redis::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(Redis::builder(server.url()).tls_ca_pem("no certificate").connect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_redis_is_told_within_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [http, silent.local_addr().unwrap()] {
        let started = Instant::now();
        let builder =
            Redis::builder(&format!("redis://{address}")).connect_deadline(Duration::from_millis(500));
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains("check the"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_urls_are_told_without_their_password() {
    let urls =
        ["", "nonsense", "redis://", "http://127.0.0.1:6379", "redis://:hunter2@[::1", "redis-cluster://"];
    for url in urls {
        let error = Redis::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
        assert!(error.to_string().contains("redis://host:port") && !error.to_string().contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_does_not_fit_the_server_names_the_right_one() {
    let one = own::standalone(Options::new()).await;
    let error = Redis::connect(&one.url().replace("redis://", "redis-cluster://")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("use redis://"), "{error}");

    let cluster = own::cluster(Options::new()).await;
    let error = Redis::connect(&format!("redis://{}", cluster.nodes()[0].address())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("use redis-cluster://"), "{error}");

    // A tool that looks at each node says so.
    let builder = Redis::builder(cluster.url());
    assert!(builder.servers().unwrap().contains(&("127.0.0.1".to_owned(), cluster.nodes()[0].port())));
    let node = builder.connect_node("127.0.0.1", cluster.nodes()[5].port()).await.unwrap();
    let info: String = node.keyless("INFO", &Args::new()).await.unwrap();
    assert!(info.contains(&format!("tcp_port:{}", cluster.nodes()[5].port())), "{info}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_pool_stays_open_when_the_handle_is_closed() {
    use fred::interfaces::ClientLike;
    let server = own::standalone(Options::new()).await;
    let config = fred::types::config::Config::from_url(server.url()).unwrap();
    let pool = fred::types::Builder::from_config(config).build_pool(2).unwrap();
    pool.init().await.unwrap();
    let redis = Redis::from_pool(pool.clone(), redis_patterns_core::Namespace::default());
    works(&redis).await;
    redis.close().await;
    let error = redis.keyless::<String>("PING", &Args::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let pong: String = pool.ping(None).await.unwrap();
    assert_eq!(pong, "PONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_on_a_cluster_lends_its_settings() {
    use fred::interfaces::ClientLike;
    let cluster = own::cluster(Options::new().password("s3cret")).await;
    let config = fred::types::config::Config::from_url(cluster.url()).unwrap();
    let pool = fred::types::Builder::from_config(config).build_pool(1).unwrap();
    pool.init().await.unwrap();
    let redis = Redis::from_pool(pool.clone(), redis_patterns_core::Namespace::default());
    works(&redis).await;
    assert!(redis.fred().is_some());
    redis.close().await;
    assert_eq!(pool.ping::<String>(None).await.unwrap(), "PONG");
}
