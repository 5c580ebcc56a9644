//! The server's clock against ours, which only has to run evenly.

use super::Case;
use crate::report::Severity::Critical;
use crate::sample::ServerClock;
use crate::signal::CLOCK_STEPPED;

/// What a well-kept clock may be slewed by, 1 in 1,000, comes on top.
const TOLERATED_S: f64 = 0.25;
/// Two samples this far apart show a clock that stands still.
const STANDSTILL_S: f64 = 0.05;

pub(super) fn judge(case: &mut Case<'_>) {
    let Some(before) = case.before else { return };
    if let Some(measured) = stepped(before.clock, case.now.clock) {
        case.find(Critical, &CLOCK_STEPPED, measured);
    }
}

fn stepped(before: ServerClock, now: ServerClock) -> Option<String> {
    let here = now.at.saturating_duration_since(before.at).as_secs_f64();
    let blur = (before.blur + now.blur).as_secs_f64();
    let there = now.time.as_secs_f64() - before.time.as_secs_f64();
    if now.time == before.time && here - blur > STANDSTILL_S {
        return Some("the server's clock stands still".into());
    }
    let step = there - here;
    (step.abs() > TOLERATED_S + blur + here / 1_000.0)
        .then(|| format!("the server's clock was stepped by {step:+.1} s within {here:.1} s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A reading after `here` by our clock, at which the server's says `there`.
    fn after(start: Instant, here: f64, there: f64, blur: f64) -> ServerClock {
        let seconds = Duration::from_secs_f64;
        ServerClock { time: seconds(1e9 + there), at: start + seconds(here), blur: seconds(blur) }
    }

    #[test]
    fn a_step_either_way_and_a_standstill_are_told_and_a_slow_reply_is_not() {
        let start = Instant::now();
        let of = |here, there, blur| stepped(after(start, 0.0, 0.0, 0.0), after(start, here, there, blur));
        assert_eq!(of(1.0, 1.0, 0.0), None);
        assert_eq!(of(1.0, 1.2, 0.0), None);
        assert!(of(1.0, 121.0, 0.0).unwrap().contains("+120.0 s"));
        assert!(of(1.0, -3_599.0, 0.0).unwrap().contains("-3600.0 s"));
        assert!(of(1.0, 0.0, 0.0).unwrap().contains("stands still"));
        assert_eq!(of(3.0, 1.5, 1.5), None);
        assert_eq!(of(3_600.0, 3_602.0, 0.0), None);
    }
}
