//! What only shows when servers are compared.

use crate::report::{Finding, Severity};
use crate::sample::Sample;
use crate::signal::{CLOCK_SKEW, HOT_NODE};
use std::collections::BTreeMap;
use std::time::Instant;

const APART_S: f64 = 1.0;
const BUSY_PER_SECOND: f64 = 1_000.0;

/// Samples by address.
pub(crate) type Samples = BTreeMap<String, Sample>;

/// The findings over all servers together.
pub(crate) fn across(before: &Samples, now: &Samples) -> Vec<Finding> {
    skew(now).into_iter().chain(hot(before, now)).collect()
}

/// The server whose clock is furthest from the first one's.
fn skew(now: &Samples) -> Option<Finding> {
    let first = now.values().next()?;
    let start: Instant = first.clock.at;
    let offset = |sample: &Sample| {
        let clock = sample.clock;
        let here = clock.at.saturating_duration_since(start).as_secs_f64()
            - start.saturating_duration_since(clock.at).as_secs_f64();
        clock.time.as_secs_f64() - first.clock.time.as_secs_f64() - here
    };
    let beyond = |sample: &Sample| {
        offset(sample).abs() - (sample.clock.blur + first.clock.blur).as_secs_f64() - APART_S
    };
    let furthest = now.values().max_by(|a, b| beyond(a).total_cmp(&beyond(b)))?;
    (beyond(furthest) > 0.0).then(|| {
        let measured = format!("{:+.1} s against {}", offset(furthest), first.address);
        Finding::new(Severity::Warning, &CLOCK_SKEW, &furthest.address, measured)
    })
}

fn hot(before: &Samples, now: &Samples) -> Option<Finding> {
    let rate = |sample: &Sample| {
        let before = before.get(&sample.address)?;
        Some(sample.growth(before, "total_commands_processed")? / sample.since(before).max(0.1))
    };
    let primaries = now.values().filter(|sample| !sample.is_replica());
    let rates: Vec<(&Sample, f64)> = primaries.filter_map(|sample| Some((sample, rate(sample)?))).collect();
    let total: f64 = rates.iter().map(|(_, rate)| rate).sum();
    let (hottest, most) = rates.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    #[allow(clippy::cast_precision_loss, reason = "a cluster has at most a thousand nodes")]
    let share = total / rates.len() as f64;
    (rates.len() > 2 && total >= BUSY_PER_SECOND && *most > 2.0 * share).then(|| {
        let measured =
            format!("{most:.0} of {total:.0} commands a second, on one of {} primaries", rates.len());
        Finding::new(Severity::Warning, &HOT_NODE, &hottest.address, measured)
    })
}
