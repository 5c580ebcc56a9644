//! Each fault of the proxy: what the client sees, what the server did, and the count that moved.

use super::{PATIENCE, SERVER, ask, connect};
use redis_patterns_testkit::faults::resp::{Conn, encode};
use redis_patterns_testkit::faults::{Match, Proxy};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn proxied() -> (Proxy, Conn) {
    let proxy = Proxy::start(SERVER.url()).await.expect("a free port");
    let conn = connect(&proxy.url()).await;
    (proxy, conn)
}

/// What the server has under this key, asked past the proxy.
async fn stored(key: &str) -> String {
    ask(&mut connect(SERVER.url()).await, &["GET", key]).await
}

/// A key that no other run has used.
async fn fresh(key: &str) -> String {
    ask(&mut connect(SERVER.url()).await, &["DEL", key]).await;
    key.to_owned()
}

/// Sends bytes and reads until the other side closes.
async fn sent(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(proxy.addr()).await.expect("the proxy listens");
    stream.write_all(bytes).await.expect("it reads");
    let mut received = Vec::new();
    // A reset instead of an end is an end too.
    _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("no hang");
    received
}

#[tokio::test]
async fn a_lost_reply_was_executed_once_and_cuts_the_connection() {
    let (proxy, mut conn) = proxied().await;
    let key = fresh("lost").await;
    proxy.lose_replies(1, Match::Command("incr"));
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    assert!(timeout(PATIENCE, conn.call(["INCR", &key])).await.expect("no hang").is_err());
    assert_eq!(stored(&key).await, "1");
    let counts = proxy.counts();
    assert_eq!((counts.lost_replies, counts.cuts, counts.unanswered), (1, 1, 1), "{counts:?}");
    assert_eq!((counts.requests, counts.replies), (2, 1), "{counts:?}");

    let mut again = connect(&proxy.url()).await;
    assert_eq!(ask(&mut again, &["INCR", &key]).await, "2");
}

#[tokio::test]
async fn the_nth_request_from_now_and_those_after_it() {
    let (proxy, mut conn) = proxied().await;
    ask(&mut conn, &["PING"]).await;
    proxy.lose_replies(2, Match::NthAfterNow(3));
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    assert!(conn.call(["PING"]).await.is_err(), "the third");
    let mut conn = connect(&proxy.url()).await;
    assert!(conn.call(["PING"]).await.is_err(), "the fourth");
    let mut conn = connect(&proxy.url()).await;
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    assert_eq!(proxy.counts().lost_replies, 2);
}

#[tokio::test]
async fn a_pipeline_loses_what_comes_behind_the_lost_reply() {
    let (proxy, _conn) = proxied().await;
    let key = fresh("pipeline").await;
    proxy.lose_replies(1, Match::NthAfterNow(2));
    let received = sent(&proxy, &encode(&["INCR", &key]).repeat(3)).await;
    assert_eq!(received, b":1\r\n");
    let counts = proxy.counts();
    assert_eq!(counts.replies, 1, "{counts:?}");
    assert_eq!(counts.unanswered, counts.requests - 1, "{counts:?}");
    assert!(stored(&key).await.parse::<usize>().is_ok_and(|n| n >= 2 && n <= counts.requests), "{counts:?}");
}

#[tokio::test]
async fn half_a_reply_of_an_executed_request() {
    let (proxy, _conn) = proxied().await;
    let key = fresh("half:reply").await;
    proxy.cut_inside_reply(1, Match::Command("SET"));
    let received = sent(&proxy, &encode(&["SET", &key, "0123456789", "GET"])).await;
    assert_eq!(received, b"$-", "half of a null reply");
    assert_eq!(stored(&key).await, "0123456789");
    let counts = proxy.counts();
    assert_eq!(
        (counts.cut_replies, counts.cuts, counts.unanswered, counts.replies),
        (1, 1, 1, 0),
        "{counts:?}"
    );
}

#[tokio::test]
async fn half_a_request_is_never_executed() {
    let (proxy, mut conn) = proxied().await;
    let key = fresh("half:request").await;
    proxy.cut_inside_request(1, Match::Command("INCR"));
    assert!(timeout(PATIENCE, conn.call(["INCR", &key])).await.expect("no hang").is_err());
    assert_eq!(stored(&key).await, "");
    let counts = proxy.counts();
    assert_eq!(
        (counts.cut_requests, counts.cuts, counts.requests, counts.unanswered),
        (1, 1, 0, 0),
        "{counts:?}"
    );
}

#[tokio::test]
async fn a_cut_after_so_many_bytes() {
    for n in [0, 1, 10, 22, 23, 30] {
        let (proxy, _conn) = proxied().await;
        proxy.cut_after_bytes(n);
        let echo = encode(&["ECHO", "0123456789ABCDEF"]);
        let whole = b"$16\r\n0123456789ABCDEF\r\n".repeat(2);
        assert_eq!(sent(&proxy, &echo.repeat(2)).await, &whole[..n]);
        let counts = proxy.counts();
        assert_eq!((counts.cuts, counts.replies), (1, n / 23), "{n}: {counts:?}");
        assert_eq!(counts.cut_replies, usize::from(n % 23 != 0 || n == 0), "{n}: {counts:?}");
        let mut conn = connect(&proxy.url()).await;
        assert_eq!(ask(&mut conn, &["PING"]).await, "PONG", "it cuts once");
    }
}

#[tokio::test]
async fn a_delay_holds_the_request_and_the_reply() {
    let (proxy, mut conn) = proxied().await;
    proxy.delay(Duration::from_millis(60));
    let start = Instant::now();
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
    assert_eq!(proxy.counts().delayed, 2);
}

#[tokio::test]
async fn a_stall_answers_nothing_and_loses_nothing() {
    let (proxy, mut conn) = proxied().await;
    let key = fresh("stall").await;
    proxy.stall();
    let mut late = connect(&proxy.url()).await;
    let (short, words) = (Duration::from_millis(150), ["INCR", &key]);
    let held = async { tokio::join!(conn.call(words), late.call(words)) };
    tokio::pin!(held);
    assert!(timeout(short, &mut held).await.is_err(), "answered through a stall");
    assert_eq!(stored(&key).await, "");
    assert_eq!(proxy.counts().stalled, 2);

    proxy.resume();
    let (first, second) = timeout(PATIENCE, held).await.expect("no hang");
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(stored(&key).await, "2");
}

#[tokio::test]
async fn slices_arrive_in_pieces_and_whole() {
    let (proxy, mut conn) = proxied().await;
    proxy.slice(1);
    let text = "0123456789".repeat(100);
    assert_eq!(ask(&mut conn, &["ECHO", &text]).await, text);
    assert_eq!(proxy.counts().sliced, 1);

    let mut stream = TcpStream::connect(proxy.addr()).await.expect("the proxy listens");
    stream.write_all(&encode(&["ECHO", &text])).await.expect("it reads");
    let (mut left, mut reads) = ("$1000\r\n\r\n".len() + text.len(), 0);
    while left > 0 {
        left -= stream.read(&mut [0; 4096]).await.expect("the rest");
        reads += 1;
    }
    assert!(reads > 1, "one read got everything");
}

#[tokio::test]
async fn refused_connections_end_at_once() {
    let (proxy, mut open) = proxied().await;
    ask(&mut open, &["PING"]).await;
    proxy.refuse();
    assert_eq!(sent(&proxy, &encode(&["PING"])).await, b"");
    assert_eq!(ask(&mut open, &["PING"]).await, "PONG", "an open connection goes on");
    proxy.accept();
    assert_eq!(ask(&mut connect(&proxy.url()).await, &["PING"]).await, "PONG");
    let counts = proxy.counts();
    assert_eq!((counts.refused, counts.connections, counts.cuts), (1, 2, 0), "{counts:?}");
}

#[tokio::test]
async fn cutting_all_ends_every_open_connection() {
    let (proxy, mut first) = proxied().await;
    let mut second = connect(&proxy.url()).await;
    ask(&mut first, &["PING"]).await;
    ask(&mut second, &["PING"]).await;
    proxy.cut_all();
    for conn in [&mut first, &mut second] {
        assert!(timeout(PATIENCE, conn.next()).await.expect("no hang").is_err());
    }
    assert_eq!(ask(&mut connect(&proxy.url()).await, &["PING"]).await, "PONG");
    assert_eq!(proxy.counts().cuts, 2);
}

#[tokio::test]
async fn healing_ends_every_fault() {
    let (proxy, mut conn) = proxied().await;
    ask(&mut conn, &["PING"]).await;
    proxy.lose_replies(9, Match::Any);
    proxy.cut_after_bytes(1);
    proxy.delay(PATIENCE);
    proxy.slice(1);
    proxy.refuse();
    proxy.stall();
    proxy.heal();
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    let mut other = connect(&proxy.url()).await;
    assert_eq!(ask(&mut other, &["PING"]).await, "PONG");
    let counts = proxy.counts();
    assert_eq!((counts.cuts, counts.delayed, counts.sliced, counts.stalled, counts.refused), (0, 0, 0, 0, 0));
    proxy.cut_all();
    assert_eq!(proxy.counts().cuts, 2, "it still knows what is open");
}
