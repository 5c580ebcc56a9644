//! What survives: the append-only file, snapshots, replicas, the cluster's slots.

use super::Case;
use crate::info::Info;
use crate::options::Pattern;
use crate::report::Severity::{Critical, Note, Warning};
use crate::signal::{APPENDFSYNC, CLUSTER_STATE, NO_AOF, NO_REPLICA, PERSISTENCE_FAILED, REPLICA_LINK};

const SLOTS: f64 = 16_384.0;
const BEHIND_S: i64 = 10;

pub(super) fn judge(case: &mut Case<'_>) {
    persistence(case);
    replication(case);
    if let Some(cluster) = &case.now.cluster {
        slots(case, cluster);
    }
}

fn persistence(case: &mut Case<'_>) {
    let info = &case.now.info;
    if info.is("aof_enabled", "0") && case.options.any_used(Pattern::breaks_when_restarted) {
        let (severity, measured) = match case.now.setting("save") {
            Some("") => (Critical, "no append-only file and no snapshots: a restart loses all"),
            Some(_) => (Warning, "no append-only file, snapshots only"),
            None => (Warning, "no append-only file"),
        };
        case.find(severity, &NO_AOF, measured);
    }
    if info.is("aof_enabled", "1") && case.now.setting("appendfsync") == Some("no") {
        case.find(Warning, &APPENDFSYNC, "appendfsync is no");
    }
    for field in ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"] {
        if let Some(status) = info.text(field).filter(|status| *status != "ok") {
            case.find(Critical, &PERSISTENCE_FAILED, format!("{field} is {status}"));
        }
    }
}

fn replication(case: &mut Case<'_>) {
    let info = &case.now.info;
    if case.now.is_replica() {
        if !info.is("master_link_status", "up") {
            let down = info.number("master_link_down_since_seconds").unwrap_or(0.0);
            case.find(
                Critical,
                &REPLICA_LINK,
                format!("the link to the primary is down, for {:.0} s", down.max(0.0)),
            );
        }
        return;
    }
    let mut replicas = 0;
    for replica in info.replicas() {
        replicas += 1;
        if replica.state != "online" {
            let measured = format!("replica {}:{} is in state {}", replica.host, replica.port, replica.state);
            case.find(Warning, &REPLICA_LINK, measured);
        } else if replica.lag_s > BEHIND_S {
            let measured =
                format!("replica {}:{} was last heard {} s ago", replica.host, replica.port, replica.lag_s);
            case.find(Warning, &REPLICA_LINK, measured);
        }
    }
    if replicas == 0 {
        case.find(Note, &NO_REPLICA, "no replica is connected");
    }
}

fn slots(case: &mut Case<'_>, cluster: &Info) {
    let state = cluster.text("cluster_state").unwrap_or("unknown");
    let assigned = cluster.number("cluster_slots_assigned").unwrap_or(0.0);
    let fallen = cluster.number("cluster_slots_fail").unwrap_or(0.0);
    let suspected = cluster.number("cluster_slots_pfail").unwrap_or(0.0);
    if state != "ok" || assigned < SLOTS || fallen > 0.0 {
        let measured = format!("state {state}, {assigned:.0} slots assigned, {fallen:.0} not served");
        case.find(Critical, &CLUSTER_STATE, measured);
    } else if suspected > 0.0 {
        case.find(
            Warning,
            &CLUSTER_STATE,
            format!("the node of {suspected:.0} slots does not answer its peers"),
        );
    }
}
