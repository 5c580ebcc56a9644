//! Memory, eviction and the hit rate.

use super::Case;
use crate::options::Pattern;
use crate::report::Severity::{Critical, Warning};
use crate::signal::{EVICTED_KEYS, EVICTION_POLICY, FRAGMENTATION, HIT_RATE, MAXMEMORY, MEMORY};

const LOST_BYTES: f64 = 100e6;
const ENOUGH_LOOKUPS: f64 = 100.0;

pub(super) fn judge(case: &mut Case<'_>) {
    let info = &case.now.info;
    let (used, limit) = (info.number("used_memory"), info.number("maxmemory"));
    let (ratio, lost) = (info.number("mem_fragmentation_ratio"), info.number("mem_fragmentation_bytes"));
    if limit == Some(0.0) {
        case.find(Warning, &MAXMEMORY, "maxmemory is 0: no limit");
    }
    case.find_share(&MEMORY, used, limit, "bytes");
    if let (Some(ratio), Some(lost)) = (ratio, lost)
        && ratio > 1.5
        && lost >= LOST_BYTES
    {
        case.find(Warning, &FRAGMENTATION, format!("{ratio:.2}: {:.0} MB lost", lost / 1e6));
    }
    eviction(case);
    case.find_counted(&EVICTED_KEYS, "evicted_keys");
    hit_rate(case);
}

/// The policy is in `INFO`, so it is known where `CONFIG` is forbidden.
fn policy<'a>(case: &Case<'a>) -> Option<&'a str> {
    case.now.info.text("maxmemory_policy").filter(|policy| *policy != "noeviction")
}

fn eviction(case: &mut Case<'_>) {
    let Some(policy) = policy(case) else { return };
    if !case.options.any_used(Pattern::breaks_when_evicted) {
        return;
    }
    let limited = case.now.info.number("maxmemory").unwrap_or(0.0) > 0.0;
    let (severity, when) = if limited { (Critical, "") } else { (Warning, ", as soon as maxmemory is set") };
    case.find(severity, &EVICTION_POLICY, format!("maxmemory-policy is {policy}{when}"));
}

fn hit_rate(case: &mut Case<'_>) {
    let (Some(before), Some(_)) = (case.before, policy(case)) else { return };
    let (Some(hits), Some(misses)) =
        (case.now.growth(before, "keyspace_hits"), case.now.growth(before, "keyspace_misses"))
    else {
        return;
    };
    let (lookups, rate) = (hits + misses, 100.0 * hits / (hits + misses));
    if lookups >= ENOUGH_LOOKUPS && rate < 80.0 {
        case.find(Warning, &HIT_RATE, format!("{rate:.0} % of {lookups:.0} look-ups found their key"));
    }
}
