//! Faults of one server: each is seen by an ordinary client.

use super::{LAUNCHER, PATIENCE, ask, connect};
use redis_patterns_testkit::faults::redis::{client_kill_normal, client_pause, config_set, script_flush};
use redis_patterns_testkit::servers::Standalone;
use std::time::{Duration, Instant};

#[tokio::test]
async fn faults_of_one_server() {
    let server = Standalone::start(&LAUNCHER).expect("a server");
    let servers = [server.url()];
    let mut conn = connect(server.url()).await;

    let sha = ask(&mut conn, &["SCRIPT", "LOAD", "return 7"]).await;
    assert_eq!(ask(&mut conn, &["EVALSHA", &sha, "0"]).await, "7");
    script_flush(&servers).await.expect("a flush");
    assert!(ask(&mut conn, &["EVALSHA", &sha, "0"]).await.contains("NOSCRIPT"));

    let pause = Duration::from_millis(200);
    let start = Instant::now();
    client_pause(&servers, pause).await.expect("a pause");
    assert_eq!(ask(&mut conn, &["PING"]).await, "PONG");
    // The server counts from the command's arrival, we from before its sending, in whole
    // milliseconds.
    assert!(start.elapsed() >= pause - Duration::from_millis(2), "{:?}", start.elapsed());

    config_set(&servers, "maxmemory", "1").await.expect("a directive");
    assert!(ask(&mut conn, &["SET", "k", "1"]).await.contains("OOM"));
    config_set(&servers, "maxmemory", "0").await.expect("a directive");
    assert_eq!(ask(&mut conn, &["SET", "k", "1"]).await, "OK");
    let unknown = config_set(&servers, "no-such", "1").await.expect_err("no such directive").to_string();
    assert!(unknown.contains("CONFIG") && unknown.contains(conn.address()), "{unknown}");

    assert!(client_kill_normal(&servers).await.expect("a kill") >= 1);
    let dead = tokio::time::timeout(PATIENCE, conn.call(["PING"])).await.expect("no hang");
    assert!(dead.is_err());
}
