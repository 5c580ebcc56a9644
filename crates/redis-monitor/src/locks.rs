//! Who holds the locks that the sample of keys met, and how many wait.

use crate::node::Sent;
use crate::report::{Finding, LockFacts, Severity};
use crate::signal::NOT_TOLD;
use redis_lock::{Inspection, LockOptions, Locks};
use redis_patterns_core::Redis;
use std::collections::BTreeSet;

/// The most locks that are looked at, one command each.
const LOCKS: usize = 50;

/// The facts of those among these locks that are held.
pub(crate) async fn look(
    redis: &Redis,
    names: &BTreeSet<String>,
    sent: &Sent,
) -> (Vec<LockFacts>, Vec<Finding>) {
    let (mut facts, mut findings) = (Vec::new(), Vec::new());
    let locks = Locks::new(redis.clone(), LockOptions::default());
    for name in names.iter().take(LOCKS) {
        sent.add(1);
        match locks.inspect(name).await {
            Ok(seen) => facts.extend(facts_of(name, seen)),
            Err(error) => {
                let place = format!("lock {name}");
                findings.push(Finding::new(Severity::Note, &NOT_TOLD, &place, error.to_string()));
            }
        }
    }
    (facts, findings)
}

fn facts_of(name: &str, seen: Inspection) -> Option<LockFacts> {
    let holder = seen.holder?;
    Some(LockFacts {
        name: name.to_owned(),
        fence: holder.fence.get(),
        label: holder.label,
        held_s: holder.held_for.as_secs(),
        lease_left_s: holder.lease_left.as_secs(),
        waiting: seen.waiting,
    })
}
