//! Each hazard is produced on a real server, told with its advice, and gone when it is mended.

mod common;

use common::{examine, examine_with, healthy, options, set, spoke, told};
use redis_monitor::{Doctor, Pattern, Severity};
use redis_patterns_testkit::harness::{eventually, own};
use redis_patterns_testkit::servers::Standalone;
use std::net::TcpStream;

/// A healthy server, what breaks it, the signal that must speak, and what mends it.
async fn breaks_and_mends(breaking: &str, signal: &str, severity: Severity, mending: &str) -> String {
    let server = own::standalone(healthy()).await;
    assert_eq!(spoke(&examine(server.url()).await), [""; 0]);
    set(server.node(), breaking);
    let report = examine(server.url()).await;
    assert_eq!(spoke(&report), [signal]);
    let measured = told(&report, signal, severity);
    set(server.node(), mending);
    assert_eq!(spoke(&examine(server.url()).await), [""; 0]);
    measured
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_evicts() {
    let measured = breaks_and_mends(
        "CONFIG SET maxmemory-policy allkeys-lru",
        "eviction-policy",
        Severity::Critical,
        "CONFIG SET maxmemory-policy noeviction",
    )
    .await;
    assert_eq!(measured, "maxmemory-policy is allkeys-lru");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_limit_of_memory() {
    breaks_and_mends("CONFIG SET maxmemory 0", "maxmemory", Severity::Warning, "CONFIG SET maxmemory 256mb")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_nearly_full() {
    let server = own::standalone(healthy()).await;
    set(server.node(), &format!("SET filler {}", "x".repeat(4_000_000)));
    let used = server.node().conn().unwrap().info("memory", "used_memory").unwrap().parse::<u64>().unwrap();
    set(server.node(), &format!("CONFIG SET maxmemory {}", used * 100 / 88));
    assert!(told(&examine(server.url()).await, "memory", Severity::Warning).contains("bytes"));
    set(server.node(), "DEL filler");
    assert_eq!(spoke(&examine(server.url()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_survives_a_restart() {
    let server = own::standalone(healthy()).await;
    set(server.node(), "CONFIG SET appendonly no");
    let measured = told(&examine(server.url()).await, "no-aof", Severity::Critical);
    assert!(measured.contains("loses all"), "{measured}");
    server.node().conn().unwrap().cmd(&["CONFIG", "SET", "save", "3600 1"]).unwrap();
    assert!(told(&examine(server.url()).await, "no-aof", Severity::Warning).contains("snapshots only"));
    // Locks promise nothing over a restart.
    let report = examine_with(server.url(), options().uses([Pattern::Lock, Pattern::RateLimit])).await;
    assert_eq!(spoke(&report), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_never_synced() {
    breaks_and_mends(
        "CONFIG SET appendfsync no",
        "appendfsync",
        Severity::Warning,
        "CONFIG SET appendfsync everysec",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_log_that_sees_nothing() {
    breaks_and_mends(
        "CONFIG SET slowlog-log-slower-than -1",
        "slow-log-off",
        Severity::Warning,
        "CONFIG SET slowlog-log-slower-than 10000",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_commands_by_their_shape_and_never_their_values() {
    let server = own::standalone(healthy().set("slowlog-max-len", "128")).await;
    let mut conn = server.node().conn().unwrap();
    conn.cmd(&["EVAL", "local t = redis.call('TIME') local n repeat n = redis.call('TIME') until (n[1] - t[1]) * 1000000 + n[2] - t[2] > 20000 return 1", "0", "secret-argument"]).unwrap();
    let report = examine(server.url()).await;
    let measured: Vec<_> = report.of("slow-commands").map(|finding| finding.measured.clone()).collect();
    assert!(measured.iter().any(|text| text.starts_with("EVAL with 3 arguments: 1 times")), "{measured:?}");
    assert!(!format!("{report:?}").contains("secret-argument"));
    conn.cmd(&["CONFIG", "SET", "slowlog-max-len", "0"]).unwrap();
    conn.cmd(&["SLOWLOG", "RESET"]).unwrap();
    assert_eq!(spoke(&examine(server.url()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_in_the_latency_monitor() {
    let server =
        own::standalone(healthy().set("latency-monitor-threshold", "100").set("enable-debug-command", "yes"))
            .await;
    set(server.node(), "DEBUG SLEEP 0.15");
    let measured = told(&examine(server.url()).await, "latency-spike", Severity::Warning);
    assert!(measured.starts_with("command: "), "{measured}");
    set(server.node(), "LATENCY RESET");
    set(server.node(), "CONFIG SET latency-monitor-threshold 0");
    assert_eq!(spoke(&examine(server.url()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_evicted_while_the_doctor_looks() {
    let server = own::standalone(healthy()).await;
    let mut doctor = Doctor::connect(server.url(), options()).await.unwrap();
    assert_eq!(spoke(&doctor.examine().await), [""; 0]);
    set(server.node(), "CONFIG SET maxmemory-policy allkeys-lru");
    set(server.node(), "CONFIG SET maxmemory 3mb");
    for key in 0..40 {
        set(server.node(), &format!("SET filler-{key} {}", "x".repeat(100_000)));
    }
    told(&doctor.examine().await, "evicted-keys", Severity::Critical);
    set(server.node(), "CONFIG SET maxmemory 256mb");
    told(&doctor.examine().await, "evicted-keys", Severity::Note);
    set(server.node(), "CONFIG SET maxmemory-policy noeviction");
    set(server.node(), "CONFIG RESETSTAT");
    assert_eq!(spoke(&doctor.examine().await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_misses_is_told_and_a_server_without_eviction_is_not_judged() {
    let server = own::standalone(healthy()).await;
    let mut doctor = Doctor::connect(server.url(), options()).await.unwrap();
    let misses = || (0..200).for_each(|key| set(server.node(), &format!("GET missing-{key}")));
    doctor.examine().await;
    misses();
    assert_eq!(doctor.examine().await.of("hit-rate").count(), 0);
    set(server.node(), "CONFIG SET maxmemory-policy allkeys-lru");
    doctor.examine().await;
    misses();
    assert!(told(&doctor.examine().await, "hit-rate", Severity::Warning).starts_with("0 % of 200"));
    assert_eq!(doctor.examine().await.of("hit-rate").count(), 0);
}

fn connections(server: &Standalone, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(server.node().address()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_storm() {
    let server = own::standalone(healthy()).await;
    let mut doctor = Doctor::connect(server.url(), options()).await.unwrap();
    assert_eq!(spoke(&doctor.examine().await), [""; 0]);
    // As many as make a storm even if a loaded machine takes 20 s for them.
    drop(connections(&server, 1_000));
    let accepted = || {
        let received = server.node().conn().unwrap().info("stats", "total_connections_received").unwrap();
        received.parse::<u64>().unwrap() >= 1_000
    };
    eventually("accepted", || async { accepted() }).await;
    told(&doctor.examine().await, "connection-storm", Severity::Warning);
    assert_eq!(doctor.examine().await.of("connection-storm").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_near_the_limit_and_beyond() {
    let server = own::standalone(healthy().set("maxclients", "40")).await;
    let mut doctor = Doctor::connect(server.url(), options()).await.unwrap();
    assert_eq!(spoke(&doctor.examine().await), [""; 0]);
    let some = connections(&server, 34);
    told(&doctor.examine().await, "connections", Severity::Warning);
    let beyond = connections(&server, 10);
    let report = doctor.examine().await;
    told(&report, "connections", Severity::Critical);
    told(&report, "rejected-connections", Severity::Critical);
    drop((some, beyond));
    let mended = || async {
        server.node().conn().is_ok_and(|mut conn| {
            conn.info("clients", "connected_clients").is_ok_and(|n| n.parse::<u32>().unwrap() < 10)
        })
    };
    eventually("the connections are gone", mended).await;
    set(server.node(), "CONFIG RESETSTAT");
    doctor.examine().await;
    assert_eq!(spoke(&doctor.examine().await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_publish() {
    let server = own::standalone(healthy()).await;
    let url = format!("redis://worker:pass@{}", server.node().address());
    set(server.node(), "ACL SETUSER worker on >pass ~rp:* &rp:* +@all -spublish -zadd");
    assert_eq!(told(&examine(&url).await, "missing-right", Severity::Critical), "SPUBLISH, ZADD");
    // A namespace that is not granted is refused in whole; no key of it is touched to find that out.
    let other = redis_monitor::Namespace::new("other").unwrap();
    let measured =
        told(&examine_with(&url, options().namespace(other)).await, "missing-right", Severity::Critical);
    assert!(measured.contains("BLMOVE") && measured.contains("SSUBSCRIBE"), "{measured}");
    set(server.node(), "ACL SETUSER worker +spublish +zadd");
    assert_eq!(spoke(&examine(&url).await), [""; 0]);
    set(server.node(), "ACL SETUSER worker -eval");
    assert_eq!(told(&examine(&url).await, "missing-right", Severity::Critical), "EVAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forbids_config_is_still_examined() {
    let server = own::standalone(healthy()).await;
    let url = format!("redis://guest:pass@{}", server.node().address());
    set(server.node(), "ACL SETUSER guest on >pass ~* &* +@all -config -slowlog -latency");
    set(server.node(), "CONFIG SET maxmemory-policy volatile-ttl");
    let report = examine(&url).await;
    told(&report, "eviction-policy", Severity::Critical);
    assert!(told(&report, "not-told", Severity::Note).starts_with("CONFIG is forbidden"));
    assert_eq!(report.of("not-told").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_renamed_away() {
    let server = own::standalone(healthy().set("rename-command BLMOVE", "gone")).await;
    assert_eq!(told(&examine(server.url()).await, "missing-command", Severity::Critical), "BLMOVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_could_not_be_written() {
    let server = own::standalone(healthy().set("enable-protected-configs", "yes")).await;
    let home = server.node().conn().unwrap().cmd(&["CONFIG", "GET", "dir"]).unwrap().items()[1].text();
    let save_in = async |dir: &str, status: &str| {
        set(server.node(), &format!("CONFIG SET dir {dir}"));
        set(server.node(), "BGSAVE");
        eventually("the snapshot ended", || async {
            let mut conn = server.node().conn().unwrap();
            let running = conn.info("persistence", "rdb_bgsave_in_progress").unwrap();
            running == "0" && conn.info("persistence", "rdb_last_bgsave_status").unwrap() == status
        })
        .await;
    };
    // Nobody can make a file there.
    save_in("/proc", "err").await;
    told(&examine(server.url()).await, "persistence-failed", Severity::Critical);
    save_in(&home, "ok").await;
    assert_eq!(spoke(&examine(server.url()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_the_operations_page_may_ask_everything() {
    let page = include_str!("../../../docs/operations.md");
    let (_, after) = page.split_once("ACL SETUSER doctor").unwrap();
    let rules = after.split("```").next().unwrap().replace(['\\', '\n'], " ");
    let server = own::standalone(healthy()).await;
    let mut admin = server.node().conn().unwrap();
    let words: Vec<&str> = rules.split_whitespace().collect();
    admin.cmd(&[&["ACL", "SETUSER", "doctor"][..], &words].concat()).unwrap();
    admin.cmd(&["LPUSH", "rp:q:{mails}:pending", "no job"]).unwrap();
    let report = examine(&format!("redis://doctor:PASSWORD@{}", server.node().address())).await;
    assert_eq!(report.of("not-told").collect::<Vec<_>>(), [] as [&redis_monitor::Finding; 0]);
    told(&report, "missing-right", Severity::Critical);
    #[cfg(feature = "queue")]
    assert_eq!(report.queues[0].pending, 1);
}
