//! A report in the text format of Prometheus.

use crate::report::{Report, Severity};
use crate::vitals::{Kind, VITALS};
use std::fmt::Write;

impl Report {
    /// The report in the text format of Prometheus (0.0.4). The README lists the metrics.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut page = Page::default();
        page.family("up", "Whether the server answered.", Kind::Gauge);
        for server in &self.servers {
            page.line("up", &[("server", &server.address)], f64::from(u8::from(server.up)));
        }
        for vital in &VITALS {
            page.family(vital.name, vital.help, vital.kind);
            for server in &self.servers {
                if let Some(value) = server.vitals.get(vital.name) {
                    page.line(vital.name, &[("server", &server.address), ("role", &server.role)], *value);
                }
            }
        }
        self.findings(&mut page);
        self.patterns(&mut page);
        page.family("commands_sent", "What this examination itself sent.", Kind::Gauge);
        page.line("commands_sent", &[], count(self.cost.commands));
        page.0
    }

    /// How often each signal spoke at each place: several findings of one signal are one line.
    fn findings(&self, page: &mut Page) {
        page.family("findings", "Findings by signal; absent where there is none.", Kind::Gauge);
        let mut lines = std::collections::BTreeMap::<_, u64>::new();
        for finding in &self.findings {
            *lines.entry((finding.server.as_str(), finding.signal, finding.severity)).or_default() += 1;
        }
        for ((server, signal, severity), times) in lines {
            let severity = match severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            };
            let labels = [("server", server), ("signal", signal), ("severity", severity)];
            page.line("findings", &labels, count(times));
        }
    }

    fn patterns(&self, page: &mut Page) {
        page.family("keys", "Keys of the patterns, estimated from a sample.", Kind::Gauge);
        for counted in &self.keys {
            page.line("keys", &[("kind", counted.kind)], count(counted.estimated));
        }
        #[cfg(feature = "lock")]
        {
            page.family("lock_waiters", "Who waits for the locks that were looked at.", Kind::Gauge);
            page.line("lock_waiters", &[], count(self.locks.iter().map(|lock| lock.waiting).sum()));
        }
        #[cfg(feature = "queue")]
        {
            type Field = (&'static str, &'static str, fn(&crate::QueueFacts) -> u64);
            const FIELDS: [Field; 6] = [
                ("queue_pending", "Jobs that wait.", |queue| queue.pending),
                ("queue_delayed", "Jobs that wait until they are due.", |queue| queue.delayed),
                ("queue_dead", "Jobs that were given up.", |queue| queue.dead),
                ("queue_oldest_seconds", "The age of the next job.", |queue| queue.oldest_s.unwrap_or(0)),
                ("queue_workers", "Workers whose lease runs.", |queue| queue.workers),
                ("queue_lapsed_workers", "Workers whose lease is over.", |queue| queue.lapsed),
            ];
            for (name, help, field) in FIELDS {
                page.family(name, help, Kind::Gauge);
                for queue in &self.queues {
                    page.line(name, &[("queue", &queue.name)], count(field(queue)));
                }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
fn count(number: u64) -> f64 {
    number as f64
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str, kind: Kind) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = write!(self.0, "# HELP redis_doctor_{name} {help}\n# TYPE redis_doctor_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> =
            labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "redis_doctor_{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Cost;
    use std::time::Duration;

    #[test]
    fn operations_speak_of_metrics_that_exist() {
        let report = Report {
            servers: Vec::new(),
            findings: Vec::new(),
            keys: Vec::new(),
            #[cfg(feature = "queue")]
            queues: Vec::new(),
            #[cfg(feature = "lock")]
            locks: Vec::new(),
            cost: Cost { commands: 0, took: Duration::ZERO },
        };
        let page = report.to_prometheus();
        let text = concat!(include_str!("../../../docs/alerts.yml"), include_str!("../README.md"));
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut seen = 0;
        for name in names.filter(|name| name.starts_with("redis_doctor_")) {
            let queues_only = name.contains("_queue_") && cfg!(not(feature = "queue"));
            assert!(
                queues_only || page.contains(&format!("# TYPE {name} ")) || name == "redis_doctor_",
                "{name}"
            );
            seen += 1;
        }
        assert!(seen > 8);
    }

    #[test]
    fn a_label_cannot_end_its_line() {
        let mut page = Page::default();
        page.line("x", &[("queue", "a\"} 1\n\\")], 2.0);
        assert_eq!(page.0, "redis_doctor_x{queue=\"a\\\"} 1\\n\\\\\"} 2\n");
    }
}
