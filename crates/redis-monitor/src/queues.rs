//! What the queues say of themselves.

use crate::node::Sent;
use crate::report::{Finding, QueueFacts, Severity, WorkerFacts};
use crate::signal::{DEAD_LETTERS, LAPSED_WORKER, NO_WORKER, NOT_TOLD, OLD_JOB, Signal};
use redis_patterns_core::Redis;
use redis_queue::{Queue, QueueStats, WorkerStats};
use std::collections::BTreeSet;

/// The most queues that are looked at, one command each.
const QUEUES: usize = 50;
const OLD_S: u64 = 300;

/// The facts and findings of these queues.
pub(crate) async fn look(
    redis: &Redis,
    names: &BTreeSet<String>,
    sent: &Sent,
) -> (Vec<QueueFacts>, Vec<Finding>) {
    let (mut facts, mut findings) = (Vec::new(), Vec::new());
    for name in names.iter().take(QUEUES) {
        sent.add(1);
        match Queue::new(redis.clone(), name).stats().await {
            Ok(stats) => {
                let of_one = facts_of(name, &stats);
                findings.extend(judge(&of_one));
                facts.push(of_one);
            }
            Err(error) => {
                let place = format!("queue {name}");
                findings.push(Finding::new(Severity::Note, &NOT_TOLD, &place, error.to_string()));
            }
        }
    }
    (facts, findings)
}

fn facts_of(name: &str, stats: &QueueStats) -> QueueFacts {
    let alive = stats.workers.iter().filter(|worker| worker.lease_left.is_some()).count();
    QueueFacts {
        name: name.to_owned(),
        pending: stats.pending,
        delayed: stats.delayed,
        dead: stats.dead,
        oldest_s: stats.oldest_age.map(|age| age.as_secs()),
        workers: alive as u64,
        lapsed: (stats.workers.len() - alive) as u64,
        leases: stats.workers.iter().map(worker).collect(),
    }
}

fn worker(stats: &WorkerStats) -> WorkerFacts {
    WorkerFacts {
        incarnation: stats.incarnation.clone(),
        lease_left_s: stats.lease_left.map(|left| left.as_secs()),
    }
}

fn judge(facts: &QueueFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = format!("queue {}", facts.name);
    let mut find = |severity, signal: &Signal, measured: String| {
        findings.push(Finding::new(severity, signal, &place, measured));
    };
    if facts.dead > 0 {
        find(Severity::Warning, &DEAD_LETTERS, format!("{} jobs were given up", facts.dead));
    }
    if let Some(age) = facts.oldest_s.filter(|age| *age >= OLD_S) {
        find(Severity::Warning, &OLD_JOB, format!("the next job waits for {age} s"));
    }
    if facts.pending > 0 && facts.workers == 0 {
        find(Severity::Critical, &NO_WORKER, format!("{} jobs wait for a worker", facts.pending));
    }
    if facts.lapsed > 0 {
        find(Severity::Warning, &LAPSED_WORKER, format!("{} workers", facts.lapsed));
    }
    findings
}
