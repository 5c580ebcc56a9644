//! Every signal, with its threshold and its advice. The README's table is this file.

/// One thing that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signal {
    /// Its name, which alert rules may rely on.
    pub name: &'static str,
    /// When it speaks.
    pub threshold: &'static str,
    /// What to do then.
    pub advice: &'static str,
}

macro_rules! signals {
    ($($constant:ident = $name:literal, $threshold:literal, $advice:literal;)*) => {
        $(pub(crate) const $constant: Signal =
            Signal { name: $name, threshold: $threshold, advice: $advice };)*

        /// Every signal, in the order of the README's table.
        pub const SIGNALS: &[Signal] = &[$($constant),*];
    };
}

signals! {
    EVICTION_POLICY = "eviction-policy", "maxmemory-policy is not noeviction beside locks, queues or idempotency keys",
        "set maxmemory-policy noeviction: an evicted lock has two holders, an evicted queue has lost its jobs; give the cache a server of its own";
    NO_AOF = "no-aof", "appendonly no beside queues or idempotency keys",
        "set appendonly yes: a restart loses what was written since the last snapshot, or all of it";
    APPENDFSYNC = "appendfsync", "appendfsync no",
        "set appendfsync everysec: a power failure otherwise takes up to half a minute of acknowledged writes";
    PERSISTENCE_FAILED = "persistence-failed", "the last AOF write, AOF rewrite or snapshot failed",
        "look for a full or failing disk; the server may refuse writes with MISCONF until it can write again";
    SERVER_TOO_OLD = "server-too-old", "below Redis 7.0 or Valkey 7.2",
        "upgrade the server: the scripts need what it does not have";
    REPLICA_ENDPOINT = "replica-endpoint", "the URL names a replica",
        "let the URL name the primary: a replica refuses the patterns' writes, and reads from it are old";
    CLOCK_STEPPED = "clock-stepped", "the server's clock moves 250 ms more or less than ours between two samples, or stands still",
        "let the server's clock be slewed, never stepped (chrony or ntpd without makestep): every TTL and lease follows it";
    CLOCK_SKEW = "clock-skew", "two servers' clocks are more than 1 s apart",
        "synchronise the clocks: after a failover leases last by the other clock, and fences may have to wait for it";
    MISSING_COMMAND = "missing-command", "a command that the crates use is not known to the server",
        "use a server that has it, or do not rename commands: the patterns that use it fail";
    MISSING_RIGHT = "missing-right", "the ACL refuses this user a command, key or channel that the crates use",
        "grant it with ACL SETUSER: +command, ~namespace:* for keys and &namespace:* for channels";
    HOT_NODE = "hot-node", "one primary executes more than twice its share, at 1,000 commands a second or more in all",
        "look for one busy tag with CLUSTER SLOT-STATS or redis-cli --hotkeys, and split what it names";
    EVICTED_KEYS = "evicted-keys", "evicted_keys is not zero; critical while it grows",
        "give the server more memory, or shorter TTLs: what was evicted may have been a lock, a job or a session";
    HIT_RATE = "hit-rate", "under 80 % of at least 100 look-ups between two samples, where the policy evicts (a cache)",
        "look at TTLs and at the size of the cache; on a server without eviction misses are normal and not judged";
    MEMORY = "memory", "used_memory above 80 % of maxmemory; critical above 95 %",
        "add memory or shorten TTLs: at the limit the patterns are refused with OOM, though they may still give back";
    MAXMEMORY = "maxmemory", "maxmemory is 0",
        "set maxmemory below what the machine has: otherwise the kernel ends the server when memory runs out";
    FRAGMENTATION = "fragmentation", "mem_fragmentation_ratio above 1.5, at 100 MB lost or more",
        "set activedefrag yes where the server can, or restart it by a failover";
    CONNECTIONS = "connections", "connected_clients above 80 % of maxclients; critical above 95 %",
        "share one handle in each process, or raise maxclients: at the limit new processes are turned away";
    CONNECTION_STORM = "connection-storm", "50 new connections a second or more between two samples",
        "look for a client that connects for each request, or that reconnects without a pause";
    REJECTED_CONNECTIONS = "rejected-connections", "rejected_connections is not zero; critical while it grows",
        "raise maxclients, or find who holds the connections with CLIENT LIST";
    BLOCKED_CLIENTS = "blocked-clients", "blocked_clients above half of maxclients",
        "run fewer queue workers on each server, or raise maxclients: each waiting worker holds a connection";
    SLOW_COMMANDS = "slow-commands", "a command took 10 ms or more within the last hour (slow log)",
        "make the value or the range smaller: while it ran every other client waited; SLOWLOG RESET clears the list";
    SLOW_LOG_OFF = "slow-log-off", "slowlog-log-slower-than is negative or above 10 ms",
        "set slowlog-log-slower-than 10000, or slow commands go unseen";
    LATENCY_SPIKE = "latency-spike", "an event of 100 ms or more within the last hour (LATENCY LATEST)",
        "see LATENCY DOCTOR: forks, a slow disk and expiry of many keys at once are the usual causes";
    REPLICA_LINK = "replica-link", "a replica has lost its primary; a replica is not online or more than 10 s behind",
        "look at the network and at client-output-buffer-limit: a failover to this replica would lose writes";
    NO_REPLICA = "no-replica", "a primary without a replica",
        "add a replica: without one an outage lasts until this machine is back";
    CLUSTER_STATE = "cluster-state", "cluster_state is not ok, a slot is not served or its node suspected",
        "see CLUSTER NODES: bring the missing node back, or give its slots to another";
    UNREACHABLE = "unreachable", "a server of the deployment does not answer in time",
        "see whether it runs, and whether this machine may reach it";
    NOT_TOLD = "not-told", "the server does not let this user ask CONFIG, SLOWLOG, LATENCY or the rights",
        "managed services forbid some of these: compare their own console, or grant them to the doctor's user";
    KEY_WITHOUT_TTL = "key-without-ttl", "a sampled key of a pattern other than the queue has no TTL",
        "find who wrote it: every key of these patterns expires, and one that does not stays for ever";
    BIG_KEY = "big-key", "a sampled key of the namespace takes 10 MB or more",
        "see what grew: a backlog nobody works on, or a value that belongs elsewhere";
    DEAD_LETTERS = "dead-letters", "a queue has jobs that were given up",
        "read why with Queue::dead_letters, then replay or delete them";
    OLD_JOB = "old-job", "the next job of a queue waits for 5 minutes or more",
        "add workers, or find what keeps them";
    NO_WORKER = "no-worker", "jobs wait in a queue and no worker has a lease",
        "start a worker for this queue";
    LAPSED_WORKER = "lapsed-worker", "a worker's lease is over and its jobs were not taken back",
        "start a worker for this queue: any of them takes back the jobs of the dead within seconds";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_readme_has_every_signal_with_its_threshold() {
        let readme = include_str!("../README.md");
        for signal in SIGNALS {
            let row = format!("| `{}` | {} |", signal.name, signal.threshold);
            assert!(readme.contains(&row), "{row}");
        }
    }

    #[test]
    fn names_are_unique() {
        assert_eq!(SIGNALS.iter().map(|signal| signal.name).collect::<HashSet<_>>().len(), SIGNALS.len());
    }
}
