//! Histories: what was recorded is read back, from several processes, also when one was killed.

use super::PATIENCE;
use redis_patterns_testkit::faults::history::{Event, History, Kind, now_ns, operations, read};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::faults::process::{self, Worker};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The main of a worker that makes calls and leaves the last one open.
#[test]
fn writer() {
    if !process::is_worker("history::writer") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let path = std::env::var("HISTORY").expect("the test gives a file");
    let history = History::append_to(Path::new(&path)).expect("a file of the test");
    let id = u64::from(std::process::id());
    let count: u64 = std::env::var("COUNT").ok().and_then(|n| n.parse().ok()).expect("and a number");
    for i in 0..count {
        history.invoke(id, "add", &i.to_string()).ok("");
    }
    let open = history.invoke(id, "add", "open");
    process::say(&now_ns().to_string());
    // Until the kill: the call has no outcome.
    while lines.recv().is_ok() {}
    open.ok("never");
}

/// A file below the temporary folder that is not there yet.
fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("history-{name}-{}", std::process::id()));
    _ = std::fs::remove_file(&path);
    path
}

#[test]
fn an_open_invoke_is_read_as_unknown() {
    let history = History::in_memory();
    let clone = history.clone();
    clone.invoke(1, "take", "a").ok("7");
    history.invoke(2, "take", "b").fail("MOVED");
    history.invoke(1, "take", "c").info("deadline");
    drop(history.invoke(3, "take", "d"));
    assert_eq!(history.summary().expect("memory").to_string(), "invoked 4, ok 1, fail 1, info 2");

    let operations = operations(&history.events().expect("memory"));
    let seen: Vec<_> =
        operations.iter().map(|o| (o.process, o.input.as_str(), o.outcome, o.output.as_str())).collect();
    let open = "no outcome recorded";
    let expected = [
        (1, "a", Kind::Ok, "7"),
        (2, "b", Kind::Fail, "MOVED"),
        (1, "c", Kind::Info, "deadline"),
        (3, "d", Kind::Info, open),
    ];
    assert_eq!(seen, expected);
    assert!(operations.iter().all(|o| o.invoked_ns <= o.returned_ns));
    assert_eq!(operations.iter().filter(|o| o.returned_ns == u64::MAX).count(), 1);
}

#[tokio::test]
async fn killed_processes_leave_every_event_in_one_file() {
    let path = file("processes");
    let text = path.to_str().expect("a plain name");
    let before = now_ns();
    // Not equally many: an open call of one must not end with a call of another.
    let counts = ["500", "501", "502"];
    let start = |count| {
        Worker::spawn_self_test("history::writer", &[("HISTORY", text), ("COUNT", count)]).expect("it starts")
    };
    let mut workers = counts.map(start);
    for worker in &mut workers {
        let theirs: u64 = worker.next_line(PATIENCE).await.expect("a line").parse().expect("a time");
        assert!(before < theirs && theirs < now_ns(), "the clock is not the same for all processes");
        worker.kill().await.expect("it is ours");
    }
    let events = read(&path).expect("whole lines");
    let operations = operations(&events);
    assert_eq!(operations.len(), 501 + 502 + 503);
    for (worker, count) in workers.iter().zip(counts) {
        let own: Vec<_> = operations.iter().filter(|o| o.process == u64::from(worker.pid())).collect();
        assert_eq!(own.iter().filter(|o| o.outcome == Kind::Ok).count().to_string(), count);
        let open = own.last().expect("there are hundreds");
        assert_eq!((open.input.as_str(), open.outcome, open.returned_ns), ("open", Kind::Info, u64::MAX));
    }
    std::fs::remove_file(&path).expect("the file is ours");
}

#[test]
fn any_text_is_one_line_and_comes_back() {
    let texts = hostile::ids().into_iter().map(|id| String::from_utf8_lossy(&id).into_owned());
    for value in texts.chain(["\u{85}\u{2028}\t\u{1}".to_owned()]) {
        let event = Event { process: 1, call: u64::MAX, kind: Kind::Ok, op: value.clone(), value, at_ns: 0 };
        let line = event.to_json();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert_eq!(Event::from_json(&line).as_ref(), Some(&event), "{line}");
    }
    for bad in [
        "",
        "{}",
        "[]",
        "{\"at_ns\":1}",
        "{\"at_ns\":-1,\"process\":1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":1}{",
        "{\"a\"1}",
    ] {
        assert_eq!(Event::from_json(bad), None, "{bad}");
    }
}

#[test]
fn a_torn_last_line_is_left_out_and_a_bad_one_is_named() {
    let path = file("torn");
    let history = History::append_to(&path).expect("a new file");
    history.invoke(1, "add", "a").ok("");
    let append = |text: &[u8]| {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the file is there");
        file.write_all(text).expect("a write");
    };
    append(b"{\"at_ns\":1,\"proc");
    assert_eq!(history.events().expect("the torn line is no event").len(), 2);
    append(b"\n");
    let error = history.events().expect_err("a whole line that is no event").to_string();
    assert!(error.contains(":3: no event"), "{error}");
    std::fs::remove_file(&path).expect("the file is ours");
}
