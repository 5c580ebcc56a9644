//! Connections, slow commands and latency.

use super::Case;
use crate::report::Severity::{Critical, Warning};
use crate::signal::{
    BLOCKED_CLIENTS, CONNECTION_STORM, CONNECTIONS, LATENCY_SPIKE, REJECTED_CONNECTIONS, SLOW_COMMANDS,
    SLOW_LOG_OFF,
};
use crate::slow::SLOW;
use std::time::Duration;

const STORM_PER_SECOND: f64 = 50.0;
/// Below this two samples are too close together to speak of a rate.
const SHORTEST_S: f64 = 0.1;
const SPIKE_MS: u64 = 100;
const RECENT_S: u64 = 3_600;
/// Half a second stops every lease of that length.
const VERY_SLOW: Duration = Duration::from_millis(500);

pub(super) fn judge(case: &mut Case<'_>) {
    connections(case);
    slow(case);
    for spike in case.now.spikes.iter().flatten() {
        if spike.newest_ms >= SPIKE_MS && spike.ago_s <= RECENT_S {
            let measured = format!("{}: {} ms, {} s ago", spike.event, spike.newest_ms, spike.ago_s);
            case.find(Warning, &LATENCY_SPIKE, measured);
        }
    }
}

fn connections(case: &mut Case<'_>) {
    let info = &case.now.info;
    let (clients, most) = (info.number("connected_clients"), info.number("maxclients"));
    let blocked = info.number("blocked_clients").unwrap_or(0.0);
    case.find_share(&CONNECTIONS, clients, most, "connections");
    if most.is_some_and(|most| blocked > most / 2.0) {
        case.find(Warning, &BLOCKED_CLIENTS, format!("{blocked:.0} clients are blocked"));
    }
    case.find_counted(&REJECTED_CONNECTIONS, "rejected_connections");
    let Some(before) = case.before else { return };
    let Some(grown) = case.now.growth(before, "total_connections_received") else { return };
    let rate = grown / case.now.since(before).max(SHORTEST_S);
    if rate >= STORM_PER_SECOND {
        case.find(Warning, &CONNECTION_STORM, format!("{rate:.0} new connections a second"));
    }
}

fn slow(case: &mut Case<'_>) {
    for (shape, slow) in case.now.slow.iter().flatten() {
        let severity = if slow.worst >= VERY_SLOW { Critical } else { Warning };
        let measured = format!("{shape}: {} times, the longest {} ms", slow.times, slow.worst.as_millis());
        case.find(severity, &SLOW_COMMANDS, measured);
    }
    let threshold = case.now.setting("slowlog-log-slower-than").and_then(|text| text.parse::<i64>().ok());
    if let Some(threshold) = threshold
        && u128::try_from(threshold).is_ok_and(|us| us <= SLOW.as_micros())
    {
        return;
    }
    if let Some(threshold) = threshold {
        case.find(Warning, &SLOW_LOG_OFF, format!("slowlog-log-slower-than is {threshold} microseconds"));
    }
}
