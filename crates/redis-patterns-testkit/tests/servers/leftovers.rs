//! Nothing is left after a process that held servers, however it ended.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use redis_patterns_testkit::servers::wait_until;

use crate::child::{self, Running};

/// Compose takes a container down in a second or two; others may be busy with the engine too.
const SOON: Duration = Duration::from_secs(40);

/// The `host:port`s in a URL.
fn addresses(said: &str) -> Vec<String> {
    let url = said.split(' ').next().unwrap_or_default();
    let words = url.split(['/', '@', '?', '&', '=']);
    let with_port = words.filter(|word| word.starts_with("127.0.0.1:"));
    with_port.map(str::to_owned).collect()
}

fn is_up(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

/// What names the run of that process: containers, networks, folders.
fn traces(pid: u32) -> String {
    let mine = format!("redis-patterns-{pid}-");
    let script = format!(
        "docker ps -a --format '{{{{.Names}}}}' 2>/dev/null | grep '^{mine}'; \
         docker network ls --format '{{{{.Name}}}}' 2>/dev/null | grep '^{mine}'; \
         ls -d /tmp/redis-patterns-pg-{pid}-* 2>/dev/null; true"
    );
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

/// Starts servers in a child, ends the child, and waits until nothing is left of them.
fn ends_clean(order: &str, end: impl FnOnce(&mut Running)) {
    let mut running = child::start(order, &[]);
    if running.said.starts_with("error") {
        crate::skip(&format!("{order}: {}", running.said));
        return;
    }
    let addresses = addresses(&running.said);
    assert!(!addresses.is_empty(), "{}", running.said);
    let pid = running.child.id();
    end(&mut running);
    let _ = running.child.wait();
    let gone = wait_until(SOON, &format!("the servers of `{order}` to be gone"), || {
        !addresses.iter().any(|address| is_up(address)) && traces(pid).is_empty()
    });
    assert!(gone.is_ok(), "{gone:?}: {}", traces(pid));
}

/// SIGKILL: the process has no chance to do anything.
fn kill(running: &mut Running) {
    let up = addresses(&running.said);
    assert!(up.iter().all(|address| is_up(address)), "up before the kill: {up:?}");
    running.child.kill().unwrap();
}

#[test]
fn after_a_kill_of_a_process_with_native_servers() {
    ends_clean("hold standalone auto native", kill);
    ends_clean("hold cluster auto native", kill);
}

#[test]
fn after_a_kill_of_a_process_with_containers() {
    // Where a Redis 8 is on PATH, that is what is held: it must go just the same.
    ends_clean("hold standalone redis8 auto", kill);
    ends_clean("hold cluster redis8 auto", kill);
}

#[test]
fn after_a_kill_of_a_process_with_compose_services() {
    ends_clean("hold standalone auto compose", kill);
    ends_clean("hold standalone valkey9 compose", kill);
    ends_clean("hold cluster auto compose", kill);
}

#[test]
fn after_a_kill_of_a_process_with_postgres() {
    ends_clean("postgres native", kill);
    ends_clean("postgres compose", kill);
}

#[test]
fn after_an_interrupt_like_that_of_ctrl_c() {
    ends_clean("hold cluster auto native", |running| {
        let line = format!("kill -INT {}", running.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    });
}

#[test]
fn after_a_panic() {
    ends_clean("panic standalone auto native", |_| {});
}

#[test]
fn after_an_ordinary_end() {
    ends_clean("hold cluster auto native", |running| drop(running.input.take()));
}
