//! The whole demo as it is called, on each topology, and what is left of it when it is ended.

use redis_patterns_testkit::faults::process::Worker;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::wait_until;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);

fn showcase(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_showcase"));
    command.args(words).env_remove("REDIS_PATTERNS_SHOWCASE_URL");
    command
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// The folder of a run, whose name ends in the namespace of its keys.
fn folder(line: &str) -> PathBuf {
    PathBuf::from(line.strip_prefix("the stock is in ").expect("the second line names the folder"))
}

/// How many keys of a run there are, on all servers.
fn keys(t: &TestRedis, folder: &Path) -> usize {
    let name = folder.file_name().unwrap().to_str().unwrap().strip_prefix("redis-patterns-").unwrap();
    let pattern = format!("{name}:*");
    let count = |mut node: redis_patterns_testkit::servers::resp::Conn| {
        node.cmd(&["KEYS", &pattern]).unwrap().items().len()
    };
    t.admin_nodes().into_iter().map(count).sum()
}

on_every_topology! {
    async fn every_expectation_is_met_and_nothing_is_left(t: TestRedis) {
        let output = output(showcase(&["--redis-url", t.url()])).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
        assert!(text.contains("expectations were met"), "{text}");
        let folder = folder(text.lines().nth(1).unwrap());
        assert!(!folder.exists(), "{} is left", folder.display());
        assert_eq!(keys(&t, &folder), 0);
    }

    async fn a_killed_run_leaves_nothing(t: TestRedis) {
        let mut run = Worker::spawn(showcase(&["--redis-url", t.url()])).unwrap();
        let workers = run.next_line(PATIENCE).await.unwrap();
        let folder = folder(&run.next_line(PATIENCE).await.unwrap());
        // The worst moment: a process that is stopped, and so sees nothing.
        let stopped = loop {
            let line = run.next_line(PATIENCE).await.unwrap();
            if line.contains("stopped") {
                break line;
            }
        };
        assert!(folder.exists() && keys(&t, &folder) > 0);
        run.kill().await.unwrap();
        let pids: Vec<u32> = [pids(&workers), pids(&stopped)].concat();
        assert_eq!(pids.len(), 3, "{workers}\n{stopped}");
        tokio::task::spawn_blocking(move || {
            let swept = || !folder.exists() && keys(&t, &folder) == 0;
            wait_until(PATIENCE, "the folder and the keys gone", swept).unwrap();
            let ended = || !pids.iter().any(|&pid| runs(pid));
            wait_until(PATIENCE, "the processes gone", ended).unwrap();
        })
        .await
        .unwrap();
    }

    async fn a_service_that_is_left_running_answers(t: TestRedis) {
        let mut run = Worker::spawn(showcase(&["--redis-url", t.url(), "--serve"])).unwrap();
        let first = run.next_line(PATIENCE).await.unwrap();
        while !run.next_line(PATIENCE).await.unwrap().starts_with("Ctrl-C") {}
        let address = first.split(&['/', ';'][..]).nth(2).unwrap();
        let logged_in = post(address, "/login", r#"{"user": "ann"}"#).await;
        assert!(logged_in.starts_with("HTTP/1.1 200") && logged_in.contains("HttpOnly"), "{logged_in}");
        let refused = post(address, "/orders", r#"{"item": "tea", "quantity": 1}"#).await;
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        run.kill().await.unwrap();
    }
}

/// What the service says to one request.
async fn post(address: &str, path: &str, body: &str) -> String {
    let mut line = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}");
    line.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The numbers after `process` or `processes`, in a line of the run.
fn pids(line: &str) -> Vec<u32> {
    let (_, rest) = line.split_once("process").expect("the line names processes");
    rest.split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// Whether a process runs: one that only waits to be reaped has no command line any more.
fn runs(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

#[tokio::test]
async fn bad_input_is_one_line_and_a_failure() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("redis://user:hunter2@{free}");
    for words in [
        &["--redis-url", nobody.as_str()][..],
        &["--redis-url", "http://127.0.0.1"],
        &["--nonsense"],
        &[],
        &["worker"],
    ] {
        let output = output(showcase(words)).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{words:?}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
        assert!(output.stdout.is_empty());
    }
}
