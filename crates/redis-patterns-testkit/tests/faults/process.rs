//! Worker processes: they answer, die when told, stop and go on, and leave nothing behind.

use super::PATIENCE;
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::servers::wait_until;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The main of a worker that repeats what it hears.
#[test]
fn echo() {
    if !process::is_worker("process::echo") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    process::say(&std::env::var("GREETING").unwrap_or_default());
    while let Ok(line) = lines.recv() {
        if line == "fail" {
            std::process::exit(3);
        }
        process::say(&line);
    }
}

/// The main of a worker that hears nothing.
#[test]
fn deaf() {
    if !process::is_worker("process::deaf") {
        return;
    }
    let _lines = process::exit_when_parent_dies();
    loop {
        std::thread::park();
    }
}

/// The main of a worker that has a worker: it stops it, tells its number, and waits.
#[tokio::test]
async fn parent() {
    if !process::is_worker("process::parent") {
        return;
    }
    let child = start_echo().await;
    child.stop().expect("it runs");
    process::say(&child.pid().to_string());
    std::future::pending::<()>().await;
}

async fn start_echo() -> Worker {
    let mut worker =
        Worker::spawn_self_test("process::echo", &[("GREETING", "hello")]).expect("this binary starts");
    assert_eq!(worker.next_line(PATIENCE).await.expect("a greeting"), "hello");
    worker
}

/// Whether a process runs or is stopped; a dead one may still have a number until it is reaped.
fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

fn gone(pid: u32) {
    wait_until(PATIENCE, "the worker to be gone", || !alive(pid)).expect("it is gone");
}

#[tokio::test]
async fn a_worker_hears_and_says_lines() {
    let mut worker = start_echo().await;
    worker.send_line("one").await.expect("it listens");
    worker.send_line("two ✓").await.expect("it listens");
    assert_eq!(worker.next_line(PATIENCE).await.expect("a line"), "one");
    assert_eq!(worker.next_line(PATIENCE).await.expect("a line"), "two ✓");
    let silent = worker.next_line(Duration::from_millis(50)).await.expect_err("it was told nothing");
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
    let running = worker.wait(Duration::from_millis(50)).await.expect_err("it runs");
    assert_eq!(running.kind(), ErrorKind::TimedOut);
    worker.send_line("fail").await.expect("it listens");
    assert_eq!(worker.wait(PATIENCE).await.expect("it ends").code(), Some(3));
}

#[tokio::test]
async fn a_killed_worker_is_gone_and_says_no_more() {
    let mut worker = start_echo().await;
    assert!(alive(worker.pid()));
    worker.kill().await.expect("it is ours");
    assert!(!alive(worker.pid()));
    let end = worker.next_line(PATIENCE).await.expect_err("it is dead");
    assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    assert!(worker.stop().is_err(), "no signal goes to a number that may be another's");
}

#[tokio::test]
async fn a_stopped_worker_is_silent_until_it_goes_on() {
    let mut worker = start_echo().await;
    worker.stop().expect("it runs");
    worker.send_line("late").await.expect("the pipe holds it");
    assert!(worker.next_line(Duration::from_millis(200)).await.is_err(), "it ran on");
    worker.cont().expect("it is stopped");
    assert_eq!(worker.next_line(PATIENCE).await.expect("a line"), "late");
}

#[tokio::test]
async fn a_dropped_worker_is_gone_even_when_stopped() {
    let worker = start_echo().await;
    worker.stop().expect("it runs");
    let pid = worker.pid();
    assert!(alive(pid));
    drop(worker);
    gone(pid);
}

#[tokio::test]
async fn a_stopped_worker_dies_with_the_test_that_is_killed() {
    let mut parent = Worker::spawn_self_test("process::parent", &[]).expect("this binary starts");
    let pid = parent.next_line(PATIENCE).await.expect("a number").parse().expect("a number");
    assert!(alive(pid));
    parent.kill().await.expect("it is ours");
    gone(pid);
}

#[test]
fn a_worker_that_watches_its_parent_ends_with_its_input() {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args(["--exact", "process::deaf", "--nocapture"])
        .env("REDIS_PATTERNS_TESTKIT_WORKER", "process::deaf");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    assert!(child.try_wait().expect("it is ours").is_none(), "it ended before its input did");
    drop(child.stdin.take());
    wait_until(PATIENCE, "the worker to end", || child.try_wait().is_ok_and(|s| s.is_some()))
        .expect("it ends");
}

#[tokio::test]
async fn any_program_can_be_a_worker() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo plain; read -r line; echo \"got $line\"; exit 3"]);
    let mut worker = Worker::spawn(command).expect("a shell");
    assert_eq!(worker.next_line(PATIENCE).await.expect("a line"), "plain");
    worker.send_line("x").await.expect("it reads");
    assert_eq!(worker.next_line(PATIENCE).await.expect("a line"), "got x");
    assert_eq!(worker.wait(PATIENCE).await.expect("it ends").code(), Some(3));
    let missing = Worker::spawn(Command::new("/no/such/program")).expect_err("there is none");
    assert!(missing.to_string().contains("/no/such/program"), "{missing}");
}
