//! `redis-doctor` as it is run: exit status, output for people and machines, one line for each failure.

mod common;

use common::{healthy, set};
use prometheus_parse::{Scrape, Value};
use redis_patterns_testkit::harness::own;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
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

fn get(place: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(place).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_read_by_a_parser_and_follows_the_server() {
    let server = own::standalone(healthy()).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_redis-doctor"))
        .args(["export", "--listen", "127.0.0.1:0", "--interval", "0.05"])
        .env("REDIS_URL", server.url())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let place = line.trim().rsplit("http://").next().unwrap().trim_end_matches("/metrics").to_owned();

    let scrape = |signal: &str| {
        let body = get(&place, "/metrics");
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
    child.kill().unwrap();
    child.wait().unwrap();
}
