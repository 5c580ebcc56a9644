//! What the queues say of themselves.

use crate::node::Sent;
use crate::report::{Finding, QueueFacts, Severity};
use crate::signal::{DEAD_LETTERS, LAPSED_WORKER, NO_WORKER, NOT_TOLD, OLD_JOB, Signal};
use redis_patterns_core::Redis;
use redis_queue::{Queue, QueueStats};
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

/// The name in a queue's tag: `%XX` undone. A name that was too long is hashed and cannot be read.
pub(crate) fn name_of(tag: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = (!tag.starts_with('~')).then_some(tag)?;
    while let Some((plain, encoded)) = rest.split_once('%') {
        bytes.extend(plain.bytes());
        bytes.push(u8::from_str_radix(encoded.get(..2)?, 16).ok()?);
        rest = &encoded[2..];
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_as_its_owner_named_it() {
        assert_eq!(name_of("mails").as_deref(), Some("mails"));
        assert_eq!(name_of("a%20b%2F").as_deref(), Some("a b/"));
        assert_eq!(name_of("~0f"), None);
        assert_eq!(name_of("%F"), None);
        assert_eq!(name_of("%\u{e9}"), None);
    }
}
