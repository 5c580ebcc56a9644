//! Counting: what clients sent apart from what scripts called.

use super::{LAUNCHER, ask, connect};
use redis_patterns_testkit::faults::stats::{CommandStats, round_trips};
use redis_patterns_testkit::servers::{Options, Standalone};

#[tokio::test]
async fn a_script_is_one_round_trip_whatever_it_calls() {
    let server = Standalone::start_with(&LAUNCHER, &Options::new().password("s3:cr@t")).expect("a server");
    let mut conn = connect(server.url()).await;
    let script =
        "redis.call('SET', KEYS[1], 1) redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[1])";

    let (value, cost) =
        round_trips(&[server.url()], async || ask(&mut conn, &["EVAL", script, "1", "k"]).await)
            .await
            .expect("the server is up");
    assert_eq!(value, "3");
    assert_eq!(cost.sent.to_string(), "eval 1");
    assert_eq!(cost.executed.to_string(), "eval 1, incr 2, set 1");

    let two =
        async || (ask(&mut conn, &["GET", "k"]).await, ask(&mut conn, &["CONFIG", "GET", "port"]).await);
    let (_, cost) = round_trips(&[server.url()], two).await.expect("the server is up");
    assert_eq!(
        (cost.sent.of("GET"), cost.executed.of("get"), cost.executed.of("config|get")),
        (1, 1, 1),
        "{cost:?}"
    );

    let (_, cost) = round_trips(&[server.url()], async || ()).await.expect("the server is up");
    assert_eq!(
        (cost.sent.total(), cost.executed.total()),
        (0, 0),
        "its own commands are not counted: {cost:?}"
    );
}

#[tokio::test]
async fn a_delta_is_what_happened_between_on_all_servers() {
    let servers =
        [Standalone::start(&LAUNCHER).expect("a server"), Standalone::start(&LAUNCHER).expect("a server")];
    let mut conns = [connect(servers[0].url()).await, connect(servers[1].url()).await];
    ask(&mut conns[0], &["GET", "k"]).await;
    let before = CommandStats::take(&mut conns).await.expect("INFO");
    for conn in &mut conns {
        ask(conn, &["GET", "k"]).await;
    }
    let after = CommandStats::take(&mut conns).await.expect("INFO");
    assert_eq!((before.of("get"), after.of("GET")), (1, 3));
    assert_eq!(after.delta(&before).iter().collect::<Vec<_>>(), [("get", 2), ("info", 2)]);
}
