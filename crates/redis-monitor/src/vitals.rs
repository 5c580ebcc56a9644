//! The values that are shown and exported, each read from one sample.

use crate::sample::Sample;
use std::collections::BTreeMap;

/// How a value moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// One exported value: its metric is `redis_doctor_` and the name.
pub(crate) struct Vital {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    /// The field of `INFO`.
    field: &'static str,
}

const fn counter(name: &'static str, field: &'static str, help: &'static str) -> Vital {
    Vital { name, help, kind: Kind::Counter, field }
}

const fn gauge(name: &'static str, field: &'static str, help: &'static str) -> Vital {
    Vital { name, help, kind: Kind::Gauge, field }
}

/// All of them.
pub(crate) const VITALS: [Vital; 17] = [
    counter("keyspace_hits_total", "keyspace_hits", "Look-ups that found a key."),
    counter("keyspace_misses_total", "keyspace_misses", "Look-ups that found none."),
    counter("evicted_keys_total", "evicted_keys", "Keys deleted to make room."),
    counter("expired_keys_total", "expired_keys", "Keys whose TTL ended."),
    counter("connections_received_total", "total_connections_received", "Connections accepted."),
    counter("rejected_connections_total", "rejected_connections", "Connections refused at maxclients."),
    counter("commands_processed_total", "total_commands_processed", "Commands executed."),
    gauge("memory_used_bytes", "used_memory", "Memory of the data."),
    gauge("memory_max_bytes", "maxmemory", "The limit of memory; 0 is none."),
    gauge("memory_fragmentation_ratio", "mem_fragmentation_ratio", "Resident memory by used memory."),
    gauge("connected_clients", "connected_clients", "Connections."),
    gauge("max_clients", "maxclients", "The limit of connections."),
    gauge("blocked_clients", "blocked_clients", "Clients in a blocking command."),
    gauge("connected_replicas", "connected_slaves", "Replicas that follow this server."),
    gauge("aof_enabled", "aof_enabled", "1 if an append-only file is written."),
    gauge("replication_last_io_seconds", "master_last_io_seconds_ago", "Since the primary was last heard."),
    gauge("uptime_seconds", "uptime_in_seconds", "Since the server started."),
];

/// The values that this sample has.
pub(crate) fn of(sample: &Sample) -> BTreeMap<&'static str, f64> {
    let value = |vital: &Vital| Some((vital.name, sample.info.number(vital.field)?));
    VITALS.iter().filter_map(value).collect()
}
