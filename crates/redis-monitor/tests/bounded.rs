//! What the doctor itself costs, by the servers' own count.

mod common;

use common::{examine_with, healthy, options, told};
use redis_monitor::{Report, Severity};
use redis_patterns_testkit::faults::resp::Conn;
use redis_patterns_testkit::faults::stats::CommandStats;
use redis_patterns_testkit::harness::own;
use std::num::NonZeroU32;

/// Everything that may be sent; the client library brings PING, QUIT and CLIENT.
const ALLOWED: [&str; 20] = [
    "auth",
    "client|setname",
    "client|id",
    "cluster|info",
    "cluster|nodes",
    "cluster|slots",
    "config|get",
    "dbsize",
    "eval",
    "evalsha",
    "info",
    "latency|latest",
    "memory|usage",
    "ping",
    "quit",
    "scan",
    "slowlog|get",
    "time",
    "ttl",
    "hello",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_large_keyspace_is_sampled_and_nothing_unbounded_is_sent() {
    let server = own::standalone(healthy()).await;
    let mut admin = server.node().conn().unwrap();
    // 20,000 sessions by 20 commands; a TTL of a day.
    for round in 0..20 {
        let fill = "for i = 1, 1000 do redis.call('SET', 'rp:sess:{' .. ARGV[1] .. '-' .. i .. '}:0f', 'x', 'EX', 86400) end";
        admin.cmd(&["EVAL", fill, "0", &round.to_string()]).unwrap();
    }
    let mut conns = [Conn::connect(&server.node().address()).await.unwrap()];
    let before = CommandStats::take(&mut conns).await.unwrap();
    let report = examine_with(server.url(), options().sampled_keys(NonZeroU32::new(500).unwrap())).await;
    let sent = CommandStats::take(&mut conns).await.unwrap().delta(&before);

    for (name, _) in sent.iter() {
        assert!(ALLOWED.contains(&name), "{name} was sent: {sent}");
    }
    assert_eq!(sent.of("scan"), 5, "{sent}");
    assert!(sent.of("ttl") <= 50 && sent.of("memory|usage") <= 50, "{sent}");
    let sessions = report.keys.iter().find(|counted| counted.kind == "sessions").unwrap();
    assert!((500..=700).contains(&sessions.sampled), "{sessions:?}");
    assert!((10_000..=40_000).contains(&sessions.estimated), "{sessions:?}");
    // The report's own count, but for what the client library sends to connect and the INFO of `take`.
    assert!(sent.total().abs_diff(report.cost.commands) <= 8, "{} {sent}", report.cost.commands);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_stay_for_ever_and_keys_that_grew() {
    let server = own::standalone(healthy()).await;
    let mut admin = server.node().conn().unwrap();
    admin.cmd(&["SET", "rp:lock:{a}", "t:1"]).unwrap();
    admin.cmd(&["SET", "rp:idem:{b}", &"x".repeat(11_000_000), "EX", "1000"]).unwrap();
    admin.cmd(&["LPUSH", "rp:q:{mails}:pending", "no job"]).unwrap();
    admin.cmd(&["SET", "elsewhere", "v"]).unwrap();
    let report = examine_with(server.url(), options()).await;
    assert_eq!(told(&report, "key-without-ttl", Severity::Warning), "rp:lock:{a}");
    assert_eq!(report.of("key-without-ttl").count(), 1);
    assert!(told(&report, "big-key", Severity::Warning).starts_with("rp:idem:{b}: 1"));
    assert_eq!(count(&report, "locks held"), Some(1));
    admin.cmd(&["DEL", "rp:lock:{a}", "rp:idem:{b}"]).unwrap();
    let report = examine_with(server.url(), options()).await;
    assert_eq!(report.of("key-without-ttl").chain(report.of("big-key")).count(), 0);
    assert_eq!(count(&report, "locks held"), None);
}

fn count(report: &Report, kind: &str) -> Option<u64> {
    report.keys.iter().find(|counted| counted.kind == kind).map(|counted| counted.estimated)
}
