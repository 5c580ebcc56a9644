//! Each topology: a connection, what its options promise, and a failover.

use std::thread;
use std::time::Duration;

use redis_patterns_testkit::servers::{
    Cluster, Launcher, Node, Options, Replicated, Role, Sentinel, Standalone, connect, primaries, wait_until,
};

use crate::launchers;

/// Under a second on an idle machine; tests share two cores with others.
const SOON: Duration = Duration::from_secs(30);

fn write_and_read(node: &Node, key: &str) {
    let mut conn = node.conn().unwrap();
    conn.cmd(&["SET", key, "value"]).unwrap();
    assert_eq!(conn.cmd(&["GET", key]).unwrap().text(), "value");
}

#[test]
fn standalone_connects_and_is_gone_after_drop() {
    for launcher in launchers() {
        let server = Standalone::start(&launcher).unwrap();
        connect(server.url()).unwrap().cmd(&["SET", "a", "1"]).unwrap();
        let pid = server.node().pid().unwrap();
        assert!(is_process(pid));
        let address = server.node().address();
        drop(server);
        assert!(std::net::TcpStream::connect(&address).is_err(), "{launcher:?} left {address}");
        assert!(!is_process(pid), "{launcher:?} left process {pid}");
    }
}

fn is_process(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_killed_server_with_an_append_only_file_has_its_data_back() {
    for launcher in launchers() {
        let server = Standalone::start_with(&launcher, &Options::new().append_only()).unwrap();
        write_and_read(server.node(), "kept");
        server.node().kill().unwrap();
        assert!(!server.node().is_up());
        server.node().restart().unwrap();
        let kept = server.node().conn().unwrap().cmd(&["GET", "kept"]).unwrap();
        assert_eq!(kept.text(), "value", "{launcher:?}");
    }
}

#[test]
fn a_stopped_server_is_silent_until_it_continues() {
    for launcher in launchers() {
        let server = Standalone::start(&launcher).unwrap();
        let mut conn = server.node().conn().unwrap();
        conn.set_timeout(Duration::from_millis(300)).unwrap();
        server.node().stop().unwrap();
        assert!(conn.cmd(&["PING"]).is_err(), "{launcher:?} answered while stopped");
        server.node().cont().unwrap();
        server.node().wait_ready().unwrap();
    }
}

#[test]
fn a_password_is_asked_for_and_given() {
    let launcher = &launchers()[0];
    let options = Options::new().password("s3cret@/").max_memory(16 << 20).set("hz", "50");
    let server = Standalone::start_with(launcher, &options).unwrap();
    let bare = format!("redis://{}", server.node().address());
    let error = connect(&bare).unwrap_err().to_string();
    assert!(error.contains("asks for a password"), "{error}");
    let error = connect(&bare.replace("//", "//:wrong@")).unwrap_err().to_string();
    assert!(error.contains("refuses") && !error.contains(":wrong"), "{error}");
    let mut conn = connect(server.url()).unwrap();
    let policy = conn.cmd(&["CONFIG", "GET", "maxmemory*"]).unwrap().text();
    assert!(policy.contains("noeviction") && policy.contains("16777216"), "{policy}");
    assert!(conn.cmd(&["CONFIG", "GET", "hz"]).unwrap().text().contains("50"));
}

#[test]
fn a_wrong_option_is_named_at_once() {
    let options = Options::new().set("no-such-option", "1");
    for launcher in launchers() {
        let started = std::time::Instant::now();
        let error = Standalone::start_with(&launcher, &options).unwrap_err().to_string();
        assert!(error.contains("no-such-option"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}

#[test]
fn a_replica_takes_over_from_a_killed_primary() {
    for launcher in launchers() {
        let servers = Replicated::start_with(&launcher, &Options::new().replicas(2)).unwrap();
        let old = servers.primary().unwrap();
        // WAIT speaks of the writes of its own connection.
        let mut conn = old.conn().unwrap();
        conn.cmd(&["SET", "before", "value"]).unwrap();
        let acknowledged = conn.cmd(&["WAIT", "2", "5000"]).unwrap().int();
        assert_eq!(acknowledged, Some(2), "{launcher:?}");
        old.kill().unwrap();
        let new = servers.failover().unwrap();
        assert_ne!(new.port(), old.port());
        assert_eq!(servers.url(), format!("redis://{}", new.address()));
        assert_eq!(new.conn().unwrap().cmd(&["GET", "before"]).unwrap().text(), "value");
        write_and_read(new, "after");
    }
}

#[test]
fn sentinels_replace_a_killed_primary() {
    for launcher in launchers() {
        let servers = Sentinel::start(&launcher).unwrap();
        assert!(servers.sentinels().iter().all(|node| node.role().unwrap() == Role::Sentinel));
        let old = servers.primary().unwrap();
        write_and_read(old, "before");
        old.kill().unwrap();
        let new = servers.wait_new_primary(old.port()).unwrap();
        write_and_read(new, "after");
        old.restart().unwrap();
        old.wait_role(Role::Replica, SOON).unwrap();
    }
}

#[test]
fn a_replica_takes_the_slots_of_a_killed_primary() {
    for launcher in launchers() {
        let cluster = Cluster::start(&launcher).unwrap();
        assert_eq!(primaries(cluster.url()).unwrap().len(), 3);
        let old = cluster.primary_of(0).unwrap();
        old.kill().unwrap();
        let new = cluster.wait_new_primary(0, old).unwrap();
        // Slot 0 holds this key.
        write_and_read(new, "{06S}key");
        old.restart().unwrap();
        cluster.wait_healthy().unwrap();
        assert_eq!(old.role().unwrap(), Role::Replica, "{launcher:?}");
    }
}

#[test]
fn a_replica_takes_the_slots_of_a_stopped_primary() {
    for launcher in launchers() {
        let cluster = Cluster::start(&launcher).unwrap();
        let old = cluster.primary_of(0).unwrap();
        old.stop().unwrap();
        let new = cluster.wait_new_primary(0, old).unwrap();
        write_and_read(new, "{06S}key");
        old.cont().unwrap();
        old.wait_role(Role::Replica, SOON).unwrap();
        cluster.wait_healthy().unwrap();
        // Dropped with a stopped server in it: that one must go too.
        old.stop().unwrap();
        let address = old.address();
        drop(cluster);
        assert!(std::net::TcpStream::connect(&address).is_err(), "{launcher:?} left {address}");
    }
}

#[test]
fn a_cluster_hands_slots_over_on_request_and_keeps_its_data() {
    let launcher = &launchers()[0];
    let cluster = Cluster::start_with(launcher, &Options::new().password("pass")).unwrap();
    let old = cluster.primary_of(16_383).unwrap();
    let redirected = old.conn().unwrap().cmd(&["GET", "{06S}key"]).unwrap_err();
    assert_eq!(redirected.server_code(), Some("MOVED"));
    let key = last_slot_key(old);
    write_and_read(old, &key);
    let new = cluster.failover(16_383).unwrap();
    assert_eq!(new.conn().unwrap().cmd(&["GET", &key]).unwrap().text(), "value");
    assert_ne!(cluster.primary_of(16_383).unwrap().port(), old.port());
}

fn last_slot_key(node: &Node) -> String {
    let mut conn = node.conn().unwrap();
    let mut slot = |key: &str| conn.cmd(&["CLUSTER", "KEYSLOT", key]).unwrap().int().unwrap();
    (0..).map(|n| format!("key-{n}")).find(|key| slot(key) > 10_922).unwrap()
}

#[test]
fn two_runs_coexist() {
    let launcher = launchers().remove(0);
    let starts = [0, 1].map(|_| {
        let launcher = launcher.clone();
        thread::spawn(move || Cluster::start(&launcher).unwrap())
    });
    let clusters = starts.map(|start| start.join().unwrap());
    for cluster in &clusters {
        cluster.wait_healthy().unwrap();
        for node in cluster.nodes() {
            let known = node.conn().unwrap().cmd(&["CLUSTER", "INFO"]).unwrap().text();
            assert!(known.contains("cluster_known_nodes:6"), "two clusters met: {known}");
        }
    }
}

#[test]
fn valkey_is_a_server_too() {
    match Launcher::docker("valkey/valkey:9") {
        Ok(launcher) => {
            let server = Standalone::start(&launcher).unwrap();
            let info = connect(server.url()).unwrap().info("server", "valkey_version").unwrap();
            assert!(info.starts_with("9."), "{info}");
        }
        Err(why) => crate::skip(&format!("no Valkey: {why}")),
    }
}

#[test]
fn a_wait_that_fails_names_the_node() {
    let server = Standalone::start(&launchers()[0]).unwrap();
    let error = server.node().wait_role(Role::Replica, Duration::from_millis(50)).unwrap_err();
    assert!(error.to_string().contains(&server.node().address()), "{error}");
    wait_until(SOON, "the server to be up", || server.node().is_up()).unwrap();
}
