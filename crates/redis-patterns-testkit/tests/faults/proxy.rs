//! The proxy without faults: it passes everything on, counts it, and ends.

use super::{PATIENCE, SERVER, ask, connect};
use redis_patterns_testkit::faults::resp::{Conn, Reply};
use redis_patterns_testkit::faults::{Match, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::test]
async fn passes_everything_on_and_counts_it() {
    let proxy = Proxy::start(SERVER.url()).await.expect("a free port");
    let mut conn = connect(&proxy.url()).await;
    let big: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    conn.call([&b"SET"[..], b"proxy:big", &big]).await.expect("a write");
    assert_eq!(conn.call(["get", "proxy:big"]).await.expect("a read"), Reply::Text(big));
    assert_eq!(ask(&mut conn, &["GET", "proxy:none"]).await, "");
    ask(&mut conn, &["LRANGE", "proxy:none", "0", "-1"]).await;

    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.requests, counts.replies), (1, 4, 4), "{counts:?}");
    assert_eq!((counts.of("GET"), counts.of("set"), counts.of("LRANGE")), (2, 1, 1), "{counts:?}");
    assert_eq!((counts.cuts, counts.unanswered, counts.lost_replies), (0, 0, 0), "{counts:?}");
}

#[tokio::test]
async fn a_push_message_is_no_reply() {
    // No command makes a real server push before a reply at will, so this one is played.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let server = listener.local_addr().expect("an address").to_string();
    let answer = async {
        let (mut stream, _) = listener.accept().await.expect("the proxy connects");
        _ = stream.read(&mut [0; 64]).await.expect("a request");
        stream.write_all(b">2\r\n+invalidate\r\n_\r\n+PONG\r\n").await.expect("it reads");
        stream
    };
    let proxy = Proxy::start(&server).await.expect("a free port");
    proxy.lose_replies(1, Match::Any);
    let mut conn = connect(&proxy.url()).await;
    let (first, _stream) = tokio::join!(conn.call(["PING"]), answer);
    assert_eq!(first.expect("the push passes").items()[0].text(), "invalidate");
    assert!(timeout(PATIENCE, conn.next()).await.expect("no hang").is_err());
    let counts = proxy.counts();
    assert_eq!((counts.replies, counts.lost_replies), (0, 1), "{counts:?}");
}

#[tokio::test]
async fn the_url_is_the_upstreams_with_the_proxys_address() {
    let proxy = Proxy::start("redis://me:127.0.0.1:1@127.0.0.1:1/2").await.expect("a free port");
    assert_eq!(proxy.url(), format!("redis://me:127.0.0.1:1@{}/2", proxy.addr()));
    let proxy = Proxy::start("127.0.0.1:1").await.expect("a free port");
    assert_eq!(proxy.url(), format!("redis://{}", proxy.addr()));
}

#[tokio::test]
async fn a_server_that_is_down_closes_the_connection() {
    let proxy = Proxy::start("127.0.0.1:1").await.expect("a free port");
    let mut conn = connect(&proxy.url()).await;
    assert!(timeout(PATIENCE, conn.call(["PING"])).await.expect("no hang").is_err());
}

#[tokio::test]
async fn dropping_it_closes_its_port_and_its_connections() {
    let proxy = Proxy::start(SERVER.url()).await.expect("a free port");
    let mut conn = connect(&proxy.url()).await;
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    let url = proxy.url();
    drop(proxy);
    assert!(timeout(PATIENCE, conn.next()).await.expect("no hang").is_err());
    assert!(Conn::connect(&url).await.is_err(), "the port is still open");
}
