//! Faults of a cluster: a failover, and a slot held half moved.

use super::{LAUNCHER, ask, connect};
use redis_patterns_testkit::faults::redis::{Failover, SlotMove, cluster_failover, slot_of};
use redis_patterns_testkit::servers::{Cluster, Options};

/// The cluster's URL of one node.
fn url(address: &str) -> String {
    format!("redis://:s3:cr%40t@{address}")
}

#[tokio::test]
async fn a_slot_is_held_half_moved_and_then_owned_by_another() {
    let cluster = Cluster::start_with(&LAUNCHER, &Options::new().password("s3:cr@t")).expect("a cluster");
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| url(&node.address())).collect();
    let slot = slot_of(&nodes[0], b"{t}:a").await.expect("a cluster");
    let from = url(&cluster.primary_of(slot).expect("an owner").address());
    let to = url(&cluster
        .primaries()
        .iter()
        .map(|n| n.address())
        .find(|a| url(a) != from)
        .expect("three primaries"));

    let mut old = connect(&from).await;
    assert_eq!(ask(&mut old, &["MSET", "{t}:a", "1", "{t}:b", "2", "{t}:c", "3"]).await, "OK");
    let mut half = SlotMove::begin(slot, &from, &to).await.expect("the slot is theirs");
    half.move_key(b"{t}:a").await.expect("a move");
    assert!(ask(&mut old, &["GET", "{t}:a"]).await.contains("ASK"));
    assert!(ask(&mut old, &["MGET", "{t}:a", "{t}:b"]).await.contains("TRYAGAIN"));
    assert_eq!(ask(&mut old, &["GET", "{t}:b"]).await, "2");
    assert_eq!(half.move_keys(1).await.expect("a move"), 1);

    let others: Vec<&String> = nodes.iter().filter(|node| **node != from && **node != to).collect();
    half.finish(&others).await.expect("the end of the move");
    assert!(ask(&mut old, &["GET", "{t}:a"]).await.contains("MOVED"));
    let mut new = connect(&to).await;
    let values = new.call(["MGET", "{t}:a", "{t}:b", "{t}:c"]).await.expect("all keys are here");
    assert_eq!(values.items().iter().map(|v| v.text()).collect::<Vec<_>>(), ["1", "2", "3"]);
    let again = SlotMove::begin(slot, &from, &to).await.expect_err("it is not theirs any more");
    assert!(again.to_string().contains("CLUSTER"), "{again}");

    let replica = url(&cluster.replica_of(0).expect("a replica").address());
    cluster_failover(&replica, Failover::Coordinated).await.expect("its primary is up");
    assert_eq!(connect(&replica).await.call(["ROLE"]).await.expect("a role").items()[0].text(), "master");
    let twice = cluster_failover(&replica, Failover::Force).await.expect_err("it is a primary now");
    assert!(twice.to_string().contains("CLUSTER"), "{twice}");
}
