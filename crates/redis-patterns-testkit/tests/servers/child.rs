//! A process of its own that starts servers: this test program, run again for one "test" alone.
//!
//! Environment variables and `kill -9` concern a whole process, so they cannot be tried in ours.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};

use redis_patterns_testkit::servers::{self, Backend, Error, Postgres, ServerChoice, Topology};

const DO: &str = "REDIS_PATTERNS_TEST_CHILD";
const SAYS: &str = "child says: ";

/// Not a test: what a child does.
#[test]
fn child_main() {
    let Ok(order) = std::env::var(DO) else { return };
    let words: Vec<&str> = order.split(' ').collect();
    let said = obey(&words).unwrap_or_else(|error| format!("error: {error}"));
    println!("{SAYS}{}", said.replace('\n', " | "));
}

/// `start|up TOPOLOGY SERVER BACKEND`, `hold …` (starts and waits for the end of its input),
/// `postgres BACKEND`, `available BACKEND`, `down`, `status`.
fn obey(words: &[&str]) -> Result<String, Error> {
    let choice = || words[2].parse::<ServerChoice>();
    let backend = |index: usize| words[index].parse::<Backend>();
    let topology = || words[1].parse::<Topology>();
    match words[0] {
        "start" => {
            let running = servers::start(topology()?, &choice()?, backend(3)?)?;
            Ok(format!("{} {}", running.url(), running.describe()))
        }
        "hold" => {
            let running = servers::start(topology()?, &choice()?, backend(3)?)?;
            hold(running.url(), running.describe());
            Ok("released".to_owned())
        }
        "postgres" => {
            let postgres = Postgres::start_with(backend(1)?)?;
            hold(postgres.url(), postgres.describe());
            Ok("released".to_owned())
        }
        "panic" => {
            let running = servers::start(topology()?, &choice()?, backend(3)?)?;
            println!("{SAYS}{} {}", running.url(), running.describe());
            panic!("this child panics as told");
        }
        "up" => servers::up(topology()?, &choice()?, backend(3)?).map(|status| status.to_string()),
        "down" => servers::down().map(|lines| format!("ended {}: {}", lines.len(), lines.join("; "))),
        "status" => {
            servers::status().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
        "available" => Ok(format!("{:?}", servers::available(backend(1)?))),
        other => panic!("no such order: {other}"),
    }
}

fn hold(url: &str, description: &str) {
    println!("{SAYS}{url} {description}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A child under way, and what it has said.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) said: String,
    /// Its end lets the child go on.
    pub(crate) input: Option<ChildStdin>,
}

/// Starts a child and waits for the line that it says.
pub(crate) fn start(order: &str, environment: &[(&str, &str)]) -> Running {
    let me = std::env::current_exe().expect("a test knows its program");
    let mut child = Command::new(me)
        .args(["--exact", "child::child_main", "--nocapture"])
        .env(DO, order)
        .env_remove("REDIS_URL")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts");
    let input = child.stdin.take();
    let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let mut said = lines.map_while(Result::ok).filter_map(|line| {
        // The test runner's own "test child_main ... " stands before it.
        line.split_once(SAYS).map(|(_, said)| said.to_owned())
    });
    let said = said.next().unwrap_or_else(|| panic!("the child said nothing to {order:?}"));
    Running { child, said, input }
}

/// Runs a child to its end and answers what it said.
pub(crate) fn ask(order: &str, environment: &[(&str, &str)]) -> String {
    let mut running = start(order, environment);
    drop(running.input.take());
    let _ = running.child.wait();
    running.said
}
