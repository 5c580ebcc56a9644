//! Replicas and clusters: every server is examined.

mod common;

use common::{examine, healthy, options, set, spoke, told};
use redis_monitor::{Doctor, Severity};
use redis_patterns_testkit::harness::{eventually, own};

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_primary_with_its_replica_has_nothing_to_report() {
    let servers = own::replicated(healthy()).await;
    let report = examine(&servers.url()).await;
    assert_eq!(report.findings, []);
    assert_eq!(report.worst(), None);
    let roles: Vec<_> = report.servers.iter().map(|server| (server.up, server.role.as_str())).collect();
    assert!(roles.contains(&(true, "master")) && roles.contains(&(true, "slave")), "{roles:?}");
    assert!(report.cost.commands > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_names_a_replica_whose_link_is_cut() {
    let servers = own::replicated(healthy()).await;
    let replica = servers.replica().unwrap();
    let url = format!("redis://{}", replica.address());
    assert_eq!(spoke(&examine(&url).await), ["replica-endpoint"]);
    // Port 1 has no server, so the link is down and stays so.
    set(replica, "REPLICAOF 127.0.0.1 1");
    let report = examine(&url).await;
    told(&report, "replica-endpoint", Severity::Critical);
    assert!(told(&report, "replica-link", Severity::Critical).contains("down"));
    told(&examine(&servers.url()).await, "no-replica", Severity::Note);
    set(replica, "REPLICAOF NO ONE");
    assert_eq!(spoke(&examine(&url).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_dies_is_told_and_forgotten_once_its_primary_forgets_it() {
    let servers = own::replicated(healthy()).await;
    let mut doctor = Doctor::connect(&servers.url(), options()).await.unwrap();
    assert_eq!(doctor.examine().await.findings, []);
    let replica = servers.replica().unwrap();
    replica.kill().unwrap();
    let primary = servers.primary().unwrap();
    eventually("the primary knows", || async {
        primary.conn().unwrap().info("replication", "connected_slaves").unwrap() == "0"
    })
    .await;
    assert_eq!(doctor.examine().await.findings.iter().map(|f| f.signal).collect::<Vec<_>>(), ["no-replica"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_a_cluster_is_examined() {
    let cluster = own::cluster(healthy()).await;
    let mut doctor = Doctor::connect(cluster.url(), options()).await.unwrap();
    let report = doctor.examine().await;
    assert_eq!(report.findings, []);
    assert_eq!(report.servers.len(), 6);
    let node = &cluster.nodes()[4];
    set(node, "CONFIG SET maxmemory-policy volatile-ttl");
    let report = doctor.examine().await;
    assert_eq!(spoke(&report), ["eviction-policy"]);
    assert_eq!(report.findings[0].server, node.address());
    set(node, "CONFIG SET maxmemory-policy noeviction");
    assert_eq!(doctor.examine().await.findings, []);

    // A whole shard is gone: its slots are not served.
    cluster.replica_of(0).unwrap().kill().unwrap();
    let primary = cluster.primary_of(0).unwrap();
    primary.kill().unwrap();
    let witness = cluster.primary_of(16_383).unwrap();
    eventually("the cluster fails", || async {
        witness.conn().unwrap().cmd(&["CLUSTER", "INFO"]).unwrap().text().contains("cluster_state:fail")
    })
    .await;
    let report = doctor.examine().await;
    told(&report, "cluster-state", Severity::Critical);
    assert_eq!(report.of("unreachable").count(), 2, "{:?}", report.findings);
    assert_eq!(report.servers.iter().filter(|server| server.up).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_group() {
    let group = own::sentinel(healthy()).await;
    let report = examine(group.url()).await;
    assert_eq!(spoke(&report), [""; 0], "{:?}", report.findings);
    assert_eq!(report.servers.len(), 2);
}
