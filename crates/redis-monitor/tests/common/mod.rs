//! What the tests share.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use redis_monitor::{Doctor, DoctorOptions, Report, SIGNALS, Severity};
use redis_patterns_testkit::servers::{Node, Options};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// A server with nothing to report, on a loaded machine too: no command is logged as slow.
pub fn healthy() -> Options {
    Options::new().append_only().max_memory(256 << 20).set("slowlog-max-len", "0")
}

pub fn options() -> DoctorOptions {
    DoctorOptions::new().interval(Duration::from_millis(50)).deadline(Duration::from_secs(10))
}

pub async fn examine(url: &str) -> Report {
    examine_with(url, options()).await
}

pub async fn examine_with(url: &str, options: DoctorOptions) -> Report {
    let mut doctor = Doctor::connect(url, options).await.unwrap();
    let report = doctor.examine().await;
    doctor.close().await;
    report
}

/// The signals that spoke; for a server alone without `no-replica`.
pub fn spoke(report: &Report) -> Vec<&str> {
    let mut signals: Vec<_> = report
        .findings
        .iter()
        .map(|finding| finding.signal)
        .filter(|signal| *signal != "no-replica")
        .collect();
    signals.dedup();
    signals
}

/// Asserts that the signal spoke with its severity and advice; gives back what was measured.
pub fn told(report: &Report, signal: &str, severity: Severity) -> String {
    let finding = report.of(signal).next().unwrap_or_else(|| panic!("no {signal}: {:?}", report.findings));
    assert_eq!(finding.severity, severity, "{finding:?}");
    let advice = SIGNALS.iter().find(|known| known.name == signal).unwrap().advice;
    assert_eq!(finding.advice, advice);
    finding.measured.clone()
}

/// One command at a server, words apart by a space.
pub fn set(node: &Node, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    node.conn().unwrap().cmd(&words).unwrap();
}

/// `redis-doctor` as a server of HTTP, ended when this is dropped.
pub struct Program {
    child: Child,
    said: BufReader<ChildStderr>,
    /// `127.0.0.1:port`.
    pub place: String,
}

impl Program {
    /// Starts it on a free port and waits until it says which.
    pub fn start(program: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.args(args).args(["--listen", "127.0.0.1:0", "--interval", "0.05", "--deadline", "10"]);
        command.env_remove("REDIS_DOCTOR_TOKEN").envs(env.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let line = next_line(&mut said, "http://");
        let (_, url) = line.split_once("http://").unwrap();
        Self { child, said, place: url.split('/').next().unwrap().to_owned() }
    }

    /// The next line of standard error with this text.
    pub fn line(&mut self, text: &str) -> String {
        next_line(&mut self.said, text)
    }

    /// Sends a request without a body; answers the head and the body.
    pub fn get(&self, path: &str) -> (String, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.place), "")
    }

    /// Sends these lines and this body.
    pub fn send(&self, head: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.place).unwrap();
        write!(stream, "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(said: &mut BufReader<ChildStderr>, text: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it said {text}");
        if line.contains(text) {
            return line;
        }
    }
}
