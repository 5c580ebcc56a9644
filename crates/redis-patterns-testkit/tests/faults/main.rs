//! The tools that break things, each against a real server.
#![cfg(feature = "harness")]

mod cluster;
mod history;
mod hostile;
mod process;
mod proxy;
mod proxy_faults;
mod server;
mod stats;

use redis_patterns_testkit::faults::resp::Conn;
use redis_patterns_testkit::servers::{Backend, Launcher, ServerChoice, Standalone};
use std::sync::LazyLock;
use std::time::Duration;

/// Long enough for a loaded machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

static LAUNCHER: LazyLock<Launcher> =
    LazyLock::new(|| Launcher::find(&ServerChoice::Auto, Backend::Auto).expect("a server to test against"));

/// One server for the tests that leave it as it was; its guardian ends it with this process.
static SERVER: LazyLock<Standalone> = LazyLock::new(|| Standalone::start(&LAUNCHER).expect("a server"));

async fn connect(url: &str) -> Conn {
    Conn::connect(url).await.expect("the server is up")
}

/// The text of a reply, or of a refusal.
async fn ask(conn: &mut Conn, words: &[&str]) -> String {
    conn.call(words).await.map_or_else(|e| e.to_string(), |reply| reply.text())
}
