//! The process that outlives a run, however the run ends, and removes what it leaves: its folder
//! and its keys. Most keys have a TTL; those of a queue have none, as no job may vanish by itself.

use crate::Fallible;
use crate::run::Run;
use redis_patterns_testkit::servers::resp::{Conn, Reply};
use redis_patterns_testkit::servers::{Error, primaries};
use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a run says before its end if its processes have ended before it.
pub(crate) const TIDY: &str = "tidy";
/// Time for the workers of a killed run to end.
const PAUSE: Duration = Duration::from_millis(400);
const GIVE_UP: Duration = Duration::from_secs(10);

/// The sweeper's main: waits for the end of its standard input, which the run holds open.
pub(crate) fn run() -> Fallible<ExitCode> {
    let run = Run::inherited()?;
    let mut said = String::new();
    // Unreadable is over, too.
    let _ = std::io::stdin().lock().read_to_string(&mut said);
    let enough = if said.trim() == TIDY { 1 } else { 3 };
    let (started, mut quiet) = (Instant::now(), 0);
    while quiet < enough && started.elapsed() < GIVE_UP {
        // A server that does not answer is gone, and the keys with it.
        let keys = sweep_keys(&run).unwrap_or(0);
        let folder = std::fs::remove_dir_all(&run.folder).is_ok();
        quiet = if keys == 0 && !folder { quiet + 1 } else { 0 };
        if quiet < enough && enough > 1 {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes the keys of a run; answers how many there were.
fn sweep_keys(run: &Run) -> Result<usize, Error> {
    let pattern = format!("{}:*", run.namespace);
    let mut swept = 0;
    for mut node in primaries(&run.url)? {
        let keys = scan(&mut node, &pattern)?;
        swept += keys.len();
        keys.iter().try_for_each(|key| node.cmd(&["UNLINK", key]).map(drop))?;
    }
    Ok(swept)
}

fn scan(node: &mut Conn, pattern: &str) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = node.cmd(&["SCAN", &cursor, "MATCH", pattern, "COUNT", "1000"])?;
        let [next, found] = reply.items() else { return Ok(keys) };
        keys.extend(found.items().iter().map(Reply::text));
        cursor = next.text();
        if cursor == "0" {
            return Ok(keys);
        }
    }
}
