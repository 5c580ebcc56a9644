//! The last examinations, and the charts that follow from them.

use redis_monitor::{Report, Severity};
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// At one every five seconds, ten minutes.
const KEPT: usize = 120;

/// The last examinations, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Point>);

#[derive(Debug)]
struct Point {
    at: Instant,
    report: Report,
}

/// Values over time.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Seconds before the newest, and the value; `None` where there was none.
    pub(crate) values: Vec<(f64, Option<f64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Bytes,
    Seconds,
    PerSecond,
}

impl Unit {
    /// A value for a person: `12.3 MB`.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Bytes => format!("{}B", scaled(value)),
            Self::Seconds => format!("{}s", scaled(value)),
            Self::PerSecond => format!("{}/s", scaled(value)),
            Self::Count => scaled(value).trim_end().to_owned(),
        }
    }
}

fn scaled(value: f64) -> String {
    let (value, prefix) = match value.abs() {
        big if big >= 1e9 => (value / 1e9, "G"),
        big if big >= 1e6 => (value / 1e6, "M"),
        big if big >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    if value.fract() == 0.0 || value.abs() >= 100.0 {
        format!("{value:.0} {prefix}")
    } else {
        format!("{value:.1} {prefix}")
    }
}

impl Line {
    pub(crate) fn newest(&self) -> Option<f64> {
        self.values.last().and_then(|(_, value)| *value)
    }
}

impl History {
    pub(crate) fn push(&mut self, report: Report) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Point { at: Instant::now(), report });
    }

    pub(crate) fn newest(&self) -> Option<&Report> {
        self.0.back().map(|point| &point.report)
    }

    /// All charts; one that has no line is left out.
    pub(crate) fn charts(&self) -> Vec<Chart> {
        let mut charts = vec![
            self.findings(),
            self.rates("commands", "Commands", "commands_processed_total"),
            self.vitals("memory", "Memory used", Unit::Bytes, "memory_used_bytes"),
            self.vitals("connections", "Connections", Unit::Count, "connected_clients"),
            self.rates("evictions", "Evicted keys", "evicted_keys_total"),
            self.queues("waiting", "Jobs waiting", Unit::Count, |queue| queue.pending),
            self.queues("oldest", "Age of the next job", Unit::Seconds, |q| q.oldest_s.unwrap_or(0)),
            self.queues("dead", "Dead letters", Unit::Count, |queue| queue.dead),
            self.queues("workers", "Workers", Unit::Count, |queue| queue.workers),
            self.locks(),
        ];
        charts.retain(|chart| !chart.lines.is_empty());
        charts
    }

    fn line(&self, name: &str, value: impl Fn(&Report) -> Option<f64>) -> Line {
        let last = self.0.back().map(|point| point.at);
        let at = |point: &Point| -last.map_or(0.0, |last| (last - point.at).as_secs_f64());
        let values = self.0.iter().map(|point| (at(point), value(&point.report))).collect();
        Line { name: name.to_owned(), values }
    }

    fn servers(&self) -> Vec<&str> {
        let servers = self.newest().into_iter().flat_map(|report| &report.servers);
        servers.map(|server| server.address.as_str()).collect()
    }

    fn vitals(&self, id: &'static str, title: &'static str, unit: Unit, vital: &'static str) -> Chart {
        let line = |address: &str| self.line(address, |report| of(report, address, vital));
        Chart { id, title, unit, lines: self.servers().into_iter().map(line).collect() }
    }

    /// How fast a counter grows; a restart sets it back, which is a gap.
    fn rates(&self, id: &'static str, title: &'static str, counter: &'static str) -> Chart {
        let mut chart = self.vitals(id, title, Unit::PerSecond, counter);
        for line in &mut chart.lines {
            let pairs = line.values.windows(2);
            let rate = |pair: &[(f64, Option<f64>)]| {
                let grown = pair[1].1? - pair[0].1?;
                (grown >= 0.0).then_some(grown / (pair[1].0 - pair[0].0).max(0.1))
            };
            line.values = pairs.map(|pair| (pair[1].0, rate(pair))).collect();
        }
        chart
    }

    fn queues(
        &self,
        id: &'static str,
        title: &'static str,
        unit: Unit,
        value: fn(&redis_monitor::QueueFacts) -> u64,
    ) -> Chart {
        let all = self.0.iter().flat_map(|point| &point.report.queues);
        let names: BTreeSet<&str> = all.map(|queue| queue.name.as_str()).collect();
        let of_one = |report: &Report, name: &str| {
            report.queues.iter().find(|queue| queue.name == name).map_or(0, value)
        };
        let line = |name: &str| self.line(name, |report| Some(number(of_one(report, name))));
        Chart { id, title, unit, lines: names.into_iter().map(line).collect() }
    }

    fn findings(&self) -> Chart {
        let severities =
            [("critical", Severity::Critical), ("warning", Severity::Warning), ("note", Severity::Note)];
        let lines = severities.map(|(name, severity)| {
            self.line(name, |report| {
                let found = report.findings.iter().filter(|finding| finding.severity == severity);
                Some(number(found.count() as u64))
            })
        });
        Chart { id: "findings", title: "Findings", unit: Unit::Count, lines: lines.into() }
    }

    fn locks(&self) -> Chart {
        let ever = self.0.iter().any(|point| !point.report.locks.is_empty());
        let held = self.line("held", |report| Some(number(report.locks.len() as u64)));
        let waiting =
            self.line("waiting", |report| Some(number(report.locks.iter().map(|lock| lock.waiting).sum())));
        let lines = if ever { vec![held, waiting] } else { Vec::new() };
        Chart { id: "locks", title: "Locks", unit: Unit::Count, lines }
    }
}

fn of(report: &Report, address: &str, vital: &str) -> Option<f64> {
    let server = report.servers.iter().find(|server| server.address == address)?;
    server.vitals.get(vital).copied()
}

#[allow(clippy::cast_precision_loss, reason = "a chart has a thousand pixels")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        let text = |unit: Unit, value| unit.text(value);
        assert_eq!(text(Unit::Bytes, 12_345_678.0), "12.3 MB");
        assert_eq!(text(Unit::Count, 1_234.0), "1234");
        assert_eq!(text(Unit::Count, 0.0), "0");
        assert_eq!(text(Unit::PerSecond, 43_210.0), "43.2 k/s");
        assert_eq!(text(Unit::Seconds, 4.0), "4 s");
    }
}
