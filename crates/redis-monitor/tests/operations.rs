//! The alert rules and the dashboard in docs: they load, and name what the exporter says.

mod common;

use common::{examine, healthy};
use redis_patterns_core::Redis;
use redis_patterns_testkit::harness::{own, skip};
use redis_queue::Queue;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

const ALERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alerts.yml");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dashboard.json");

/// Every expression in a document, by the name of its field.
fn expressions(of: &Value, found: &mut Vec<String>) {
    match of {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    other => expressions(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

fn all_expressions() -> Vec<String> {
    let alerts: Value = serde_saphyr::from_str(&std::fs::read_to_string(ALERTS).unwrap()).unwrap();
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let mut found = Vec::new();
    expressions(&alerts, &mut found);
    assert!(found.len() >= 6, "{found:?}");
    expressions(&dashboard, &mut found);
    assert!(found.len() >= 20, "{found:?}");
    found
}

/// The metrics that an expression names.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("redis_doctor_"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboard_name_what_the_exporter_says() {
    let server = own::standalone(healthy()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let _ = Queue::new(redis, "mails").push("job").await.unwrap();
    let page = examine(server.url()).await.to_prometheus();
    let lines = page.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).unwrap();
    let said: BTreeSet<&str> = scrape.samples.iter().map(|sample| sample.metric.as_str()).collect();
    for expression in all_expressions() {
        promql_parser::parser::parse(&expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        for name in names(&expression) {
            // Findings are there when there are some.
            assert!(said.contains(name) || name == "redis_doctor_findings", "{name} is never said: {said:?}");
        }
    }
}

#[test]
fn prometheus_itself_loads_the_rules() {
    let Ok(output) = Command::new("promtool").args(["check", "rules", ALERTS]).output() else {
        skip("prometheus_itself_loads_the_rules", "no promtool here: apt-get install prometheus");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("6 rules found"));
}
