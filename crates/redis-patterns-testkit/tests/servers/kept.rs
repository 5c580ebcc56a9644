//! Servers that outlive the process which started them.

use std::fs;
use std::path::Path;

use redis_patterns_testkit::servers::connect;

use crate::child;
use crate::choices::server_on_path;

/// A state of its own: what a developer has up stays untouched.
struct State {
    dir: std::path::PathBuf,
    server: String,
}

impl State {
    fn new(name: &str) -> Option<Self> {
        let bin = server_on_path(name)?.join("redis-server").display().to_string();
        let dir = std::env::temp_dir().join(format!("redis-patterns-kept-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Some(Self { dir, server: bin })
    }

    fn ask(&self, order: &str) -> String {
        let dir = self.dir.display().to_string();
        child::ask(order, &[("CARGO_TARGET_DIR", &dir), ("REDIS_SERVER_BIN", &self.server)])
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.ask("down");
        let _ = fs::remove_dir_all(&self.dir);
        let _ = Path::new(&self.server).parent().map(fs::remove_dir_all);
    }
}

fn url_in(said: &str) -> String {
    let words = said.split([' ', ',']).find(|word| word.contains("://"));
    words.unwrap_or_else(|| panic!("no URL in {said}")).to_owned()
}

fn comes_up_and_goes_down(order: &str) {
    let Some(state) = State::new(&order.replace(' ', "-")) else {
        return crate::skip("no native server");
    };
    let said = state.ask(&format!("up {order}"));
    if said.starts_with("error") {
        return crate::skip(&format!("up {order}: {said}"));
    }
    let url = url_in(&said);
    assert!(connect(&url).is_ok(), "up after the process that started it: {said}");
    assert_eq!(url_in(&state.ask(&format!("up {order}"))), url, "a second up starts nothing");
    let status = state.ask("status");
    assert!(status.contains(&url) && status.contains(": up"), "{status}");
    let ended = state.ask("down");
    assert!(ended.starts_with("ended 1"), "{ended}");
    assert!(connect(&url).is_err(), "gone after down");
    assert!(state.ask("down").starts_with("ended 0"), "nothing to end is no error");
    let run = state.dir.join("redis-patterns/run");
    assert_eq!(fs::read_dir(run).unwrap().count(), 0, "its folder is gone");
}

#[test]
fn native_servers_stay_until_down() {
    comes_up_and_goes_down("standalone auto native");
    comes_up_and_goes_down("cluster auto native");
}

#[test]
fn compose_services_stay_until_down() {
    comes_up_and_goes_down("standalone auto compose");
}

#[test]
fn a_server_by_url_cannot_be_brought_up() {
    let said = child::ask("up standalone redis://127.0.0.1:1 auto", &[]);
    assert!(said.contains("runs already"), "{said}");
}
