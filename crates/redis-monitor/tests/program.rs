//! `redis-doctor` as it is run: exit status, output for people and machines, one line for each failure.

mod common;

use common::{Program, healthy, set};
use prometheus_parse::{Scrape, Value};
use redis_patterns_testkit::harness::own;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn doctor(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-doctor"));
    command.env_remove("REDIS_URL").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_follows_the_worst_finding() {
    let servers = own::replicated(healthy()).await;
    let url = servers.url();
    let check = |args: &[&str]| doctor(&[&["check", &url, "--deadline", "10"], args].concat());
    let well = check(&[]);
    assert_eq!(well.status.code(), Some(0), "{}", text(&well.stdout));
    let page = text(&well.stdout);
    assert!(page.contains("nothing to report") && page.contains("commands sent in"), "{page}");
    assert!(!page.contains('\x1b'), "colours where there is no terminal: {page}");

    set(servers.primary().unwrap(), "CONFIG SET appendfsync no");
    assert_eq!(check(&[]).status.code(), Some(1));
    set(servers.primary().unwrap(), "CONFIG SET maxmemory-policy allkeys-lru");
    let critical = check(&[]);
    assert_eq!(critical.status.code(), Some(2));
    assert!(text(&critical.stdout).contains("set maxmemory-policy noeviction: an evicted lock"));
    let json = check(&["--json"]);
    assert_eq!(json.status.code(), Some(2));
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["findings"][0]["signal"], "eviction-policy");
    assert_eq!(report["findings"][0]["severity"], "critical");
    assert_eq!(report["servers"].as_array().unwrap().len(), 2);
    // A server for sessions alone may evict.
    set(servers.primary().unwrap(), "CONFIG SET appendfsync everysec");
    assert_eq!(check(&["--uses", "session,ratelimit"]).status.code(), Some(0));
}

/// Runs `check URL`; it must end within the deadline with status 3 and one line.
fn one_line(url: &str) -> String {
    let started = Instant::now();
    let output = doctor(&["check", url, "--deadline", "1"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(3), "{url}: {}", text(&output.stdout));
    let line = text(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(!line.contains("hunter2"), "{line}");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_one_clear_line_without_a_password() {
    let server = own::standalone(healthy().password("right")).await;
    let address = server.node().address();
    assert!(one_line(&format!("redis://:hunter2@{address}")).contains("password"));
    assert!(one_line(&format!("redis://{address}")).contains("password"));
    assert!(one_line("http://user:hunter2@127.0.0.1:1").contains("redis://host:port"));
    assert!(one_line("redis://:hunter2@127.0.0.1:1").contains("127.0.0.1:1"));
    assert!(one_line("nonsense").contains("redis://host:port"));
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = http.local_addr().unwrap();
    std::thread::spawn(move || {
        http.incoming()
            .for_each(|stream| drop(stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    });
    assert!(one_line(&format!("redis://:hunter2@{place}")).contains(&place.to_string()));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    assert!(one_line(&format!("redis://:hunter2@{place}")).contains(&place.to_string()));
    server.node().stop().unwrap();
    one_line(&format!("redis://:hunter2@{address}"));
    server.node().cont().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_read_by_a_parser_and_follows_the_server() {
    let server = own::standalone(healthy()).await;
    let program =
        Program::start(env!("CARGO_BIN_EXE_redis-doctor"), &["export"], &[("REDIS_URL", server.url())]);
    let scrape = |signal: &str| {
        let (head, body) = program.get("/metrics");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
        let lines = body.lines().map(|line| Ok(line.to_owned()));
        let scrape = Scrape::parse(lines).unwrap();
        // The parser skips lines that it cannot read; none may be.
        assert_eq!(
            scrape.samples.len(),
            body.lines().filter(|line| !line.starts_with('#')).count(),
            "{body}"
        );
        let value =
            |metric: &str| scrape.samples.iter().find(|s| s.metric == metric).map(|s| s.value.clone());
        assert_eq!(value("redis_doctor_up"), Some(Value::Gauge(1.0)));
        assert!(matches!(value("redis_doctor_evicted_keys_total"), Some(Value::Counter(_))), "{body}");
        assert_eq!(value("redis_doctor_memory_max_bytes"), Some(Value::Gauge(f64::from(256 << 20))));
        scrape.samples.iter().any(|s| s.labels.get("signal") == Some(signal))
    };
    assert!(!scrape("eviction-policy"));
    set(server.node(), "CONFIG SET maxmemory-policy allkeys-lru");
    assert!(scrape("eviction-policy"));
}

/// Runs `watch` on a terminal of 120 columns; answers what it drew.
fn watched(url: &str, args: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_redis-doctor");
    let line = format!("stty cols 120 rows 40; {program} watch {url} --every 0.1 --interval 0.05 {args}");
    Command::new("script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm-256color").output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_draws_on_a_terminal_and_leaves_it_as_it_was() {
    let server = own::standalone(healthy()).await;
    set(server.node(), "CONFIG SET appendfsync no");
    let drawn = watched(server.url(), "--frames 3 --deadline 10");
    let picture = text(&drawn.stdout);
    assert!(drawn.status.success(), "{picture}");
    for word in ["appendfsync", "warning", "Commands", "everysec"] {
        assert!(picture.contains(word), "{word}: {picture}");
    }
    let (entered, left) = ("\x1b[?1049h", "\x1b[?1049l");
    assert!(picture.find(entered).unwrap() < picture.rfind(left).unwrap(), "{picture}");

    let piped = doctor(&["watch", server.url(), "--frames", "1"]);
    assert_eq!(piped.status.code(), Some(3));
    assert_eq!(
        text(&piped.stderr),
        "redis-doctor: watch draws on a terminal; check --json is for programs\n"
    );
}
