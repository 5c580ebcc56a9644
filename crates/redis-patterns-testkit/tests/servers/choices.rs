//! What is chosen, and what is said when nothing can be.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use redis_patterns_testkit::servers::{Backend, Launcher, ServerChoice, Standalone, Topology, start};

use crate::{child, launchers};

/// A folder with a program of that name which runs `script`.
pub(crate) fn program(name: &str, script: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("redis-patterns-test-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A `redis-server` for PATH, though the one we have may need libraries from elsewhere.
pub(crate) fn server_on_path(folder: &str) -> Option<PathBuf> {
    let found = Launcher::find(&ServerChoice::Auto, Backend::Native).ok()?;
    let Launcher::Native { binary, libraries, .. } = found else { return None };
    let libraries: Vec<_> = libraries.iter().map(|dir| dir.display().to_string()).collect();
    let line = format!("LD_LIBRARY_PATH='{}' exec '{}' \"$@\"", libraries.join(":"), binary.display());
    let dir = program("redis-server", &line);
    let own = dir.with_file_name(format!("redis-patterns-test-{}-{folder}", std::process::id()));
    let _ = fs::remove_dir_all(&own);
    fs::create_dir_all(&own).unwrap();
    fs::copy(dir.join("redis-server"), own.join("redis-server")).unwrap();
    Some(own)
}

fn url_error(url: &str, topology: Topology) -> String {
    let choice = ServerChoice::Url(url.to_owned());
    start(topology, &choice, Backend::Auto).unwrap_err().to_string()
}

/// A server that answers each command with the next of `answers`.
fn fake(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut stream = stream;
        for answer in answers {
            // The first line of a command says how many pairs of lines follow.
            let Some(Ok(head)) = lines.next() else { return };
            let words: usize = head.trim_start_matches('*').parse().unwrap_or(0);
            lines.by_ref().take(words * 2).for_each(drop);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn a_server_on_path_comes_first() {
    let Some(dir) = server_on_path("first") else { return crate::skip("no native server") };
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    for backend in ["auto", "native"] {
        let said = child::ask(&format!("start standalone auto {backend}"), &[("PATH", &path)]);
        assert!(said.contains(&format!("native {}", dir.display())), "{said}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_named_program_that_is_no_server_stops_the_search() {
    let said = child::ask("start standalone auto auto", &[("REDIS_SERVER_BIN", "/bin/echo")]);
    assert!(said.contains("REDIS_SERVER_BIN") && said.contains("is no Redis or Valkey"), "{said}");
    let said = child::ask("start standalone auto auto", &[("REDIS_SERVER_BIN", "/no/such/file")]);
    assert!(said.contains("/no/such/file"), "{said}");
}

#[test]
fn an_old_server_on_path_is_refused_by_its_version() {
    let dir = program("valkey-server", "echo 'Redis server v=6.2.14 sha=0'");
    let file = dir.join("valkey-server").display().to_string();
    let said = child::ask("start standalone auto native", &[("REDIS_SERVER_BIN", &file)]);
    assert!(said.contains("6.2.14") && said.contains("7.0 is the floor"), "{said}");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn when_nothing_works_everything_tried_is_named_with_the_next_step() {
    let said = child::ask("start standalone valkey9 auto", &[("PATH", "/nowhere")]);
    for part in ["PATH: no redis-server", "Docker:", "package:", "Next:", "REDIS_URL", "apt-get"] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    let said = child::ask("start cluster auto compose", &[("PATH", "/nowhere")]);
    assert!(said.contains("docker") && said.contains("Next:"), "{said}");
}

#[test]
fn available_tells_the_same_without_starting_anything() {
    let said = child::ask("available auto", &[("PATH", "/nowhere")]);
    assert!(said.contains("no redis-server") && said.contains("Docker image redis:8"), "{said}");
    let rows = redis_patterns_testkit::servers::available(Backend::Native);
    assert!(rows.iter().all(|(what, _)| !what.contains("Docker")), "{rows:?}");
}

#[test]
fn redis_url_counts_only_for_its_own_topology() {
    let server = Standalone::start(&launchers()[0]).unwrap();
    let environment = [("REDIS_URL", server.url())];
    let said = child::ask("start standalone auto auto", &environment);
    assert!(said.starts_with(server.url()) && said.contains("not ours to stop"), "{said}");
    let said = child::ask("start cluster auto auto", &environment);
    assert!(said.starts_with("redis-cluster://") && !said.contains("not ours"), "{said}");
    assert!(server.node().is_up(), "a server that was there before is left running");
}

#[test]
fn a_wrong_url_is_one_clear_text() {
    let error = url_error("redis://127.0.0.1:1", Topology::Standalone);
    assert!(error.contains("nothing answers at redis://127.0.0.1:1") && error.contains("Next:"), "{error}");
    let error = url_error("http://127.0.0.1:80", Topology::Standalone);
    assert!(error.contains("is no Redis URL"), "{error}");
    let error = url_error(&fake(&["HTTP/1.1 400 Bad Request\r\n"]), Topology::Standalone);
    assert!(error.contains("does not speak the Redis protocol"), "{error}");
    let error = url_error(&fake(&["-NOAUTH Authentication required.\r\n"]), Topology::Standalone);
    assert!(error.contains("asks for a password"), "{error}");
    let old = fake(&["+PONG\r\n", "$20\r\nredis_version:6.2.14\r\n"]);
    let error = url_error(&old, Topology::Standalone);
    assert!(error.contains("6.2.14") && error.contains("7.0 is the floor"), "{error}");
}

#[test]
fn a_url_of_the_other_topology_is_refused() {
    let server = Standalone::start(&launchers()[0]).unwrap();
    let error = url_error(server.url(), Topology::Cluster);
    assert!(error.contains("is not the URL of a cluster server"), "{error}");
    let cluster = server.url().replace("redis://", "redis-cluster://");
    let error = url_error(&cluster, Topology::Cluster);
    assert!(error.contains("is no cluster's server"), "{error}");
}

#[test]
fn a_silent_port_does_not_hang() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let started = std::time::Instant::now();
    let error = url_error(&url, Topology::Standalone);
    assert!(started.elapsed().as_secs() < 20 && error.contains(&url), "{error}");
}
