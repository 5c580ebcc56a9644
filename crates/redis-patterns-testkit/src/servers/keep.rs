//! Servers that outlive the process that started them: `up`, `down`, `status`.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::run;
use super::running::launch;
use super::{Backend, Error, ServerChoice, Topology, external, paths};

/// A server or cluster that `up` started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// One server or a cluster.
    pub topology: Topology,
    /// Where it is.
    pub url: String,
    /// What it is, such as `redis 7.0.15, native /usr/bin/redis-server`.
    pub description: String,
    /// Whether it answers now.
    pub answers: bool,
}

/// A line of the state file.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    status: Status,
    dir: PathBuf,
    pids: Vec<u32>,
}

/// Starts servers that stay until [`down`]; if they are up already, says so and starts nothing.
///
/// # Errors
///
/// As [`start`](super::start); and for a URL, as such a server is not ours to start.
pub fn up(topology: Topology, choice: &ServerChoice, backend: Backend) -> Result<Status, Error> {
    if let ServerChoice::Url(_) = choice {
        return Err(Error::unusable(
            "a server given by its URL runs already",
            "leave the URL out to have a server started",
        ));
    }
    let _turn = wait_turn()?;
    let mut records = read()?;
    if let Some(index) = records.iter().position(|record| record.status.topology == topology) {
        if records[index].status.answers {
            return Ok(records.swap_remove(index).status);
        }
        end(&records.swap_remove(index))?;
    }
    let running = launch(topology, choice, backend, true)?;
    let status = Status {
        topology,
        url: running.url().to_owned(),
        description: running.describe().to_owned(),
        answers: true,
    };
    let kept = running.keep()?;
    records.push(Record { status: status.clone(), dir: kept.dir, pids: kept.pids });
    write(&records)?;
    Ok(status)
}

/// Ends what [`up`] started; answers a line for each. Nothing to end is no error.
///
/// # Errors
///
/// When a server cannot be ended; those before it are ended and forgotten.
pub fn down() -> Result<Vec<String>, Error> {
    let _turn = wait_turn()?;
    let mut records = read()?;
    let mut ended = Vec::new();
    while let Some(record) = records.pop() {
        end(&record)?;
        write(&records)?;
        ended.push(format!("{}: {}", record.status.topology, record.status.description));
    }
    Ok(ended)
}

/// What [`up`] started, each with whether it answers now.
///
/// # Errors
///
/// When the state file cannot be read.
pub fn status() -> Result<Vec<Status>, Error> {
    Ok(read()?.into_iter().map(|record| record.status).collect())
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers = if self.answers { "up" } else { "does not answer" };
        write!(f, "{}: {answers}, {}, {}", self.topology, self.description, self.url)
    }
}

fn end(record: &Record) -> Result<(), Error> {
    for pid in record.pids.iter().filter(|pid| is_ours(**pid, record)) {
        let mut kill = Command::new("sh");
        run(kill.args(["-c", &format!("kill -s KILL {pid}")]), Duration::from_secs(5))?;
    }
    let cleanup = record.dir.join("cleanup");
    if cleanup.exists() {
        run(Command::new("sh").arg(&cleanup), Duration::from_secs(60))?
            .ok(&format!("ending {}", record.status.description))?;
    }
    let _ = fs::remove_dir_all(&record.dir);
    Ok(())
}

/// The process id may belong to somebody else by now: ours works in the folder we gave it. Where
/// the system does not tell, the server is asked.
fn is_ours(pid: u32, record: &Record) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
        return cwd.is_ok_and(|cwd| cwd.starts_with(&record.dir));
    }
    record.status.answers
}

fn file() -> PathBuf {
    paths::base().join("servers.state")
}

/// Two `up` at once would each forget the other's servers.
fn wait_turn() -> Result<File, Error> {
    paths::create(&paths::base())?;
    let path = paths::base().join("servers.lock");
    let failed = |e| Error::io(format!("cannot lock {}", path.display()), e);
    let lock = File::create(&path).map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

fn read() -> Result<Vec<Record>, Error> {
    match fs::read_to_string(file()) {
        Ok(text) => Ok(text.lines().filter_map(parse).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(format!("cannot read {}", file().display()), error)),
    }
}

fn write(records: &[Record]) -> Result<(), Error> {
    let lines: String = records.iter().map(|record| line(record) + "\n").collect();
    paths::write(&file(), &lines)
}

/// Tab separated: topology, url, folder, process ids, description.
fn line(record: &Record) -> String {
    let pids: Vec<String> = record.pids.iter().map(u32::to_string).collect();
    let Status { topology, url, description, .. } = &record.status;
    format!("{topology}\t{url}\t{}\t{}\t{description}", record.dir.display(), pids.join(","))
}

fn parse(line: &str) -> Option<Record> {
    let mut fields = line.splitn(5, '\t');
    let mut next = || fields.next();
    let topology = next()?.parse().ok()?;
    let url = next()?.to_owned();
    let dir = PathBuf::from(next()?);
    let pids = next()?.split(',').filter_map(|pid| pid.parse().ok()).collect();
    let description = next()?.to_owned();
    let answers = external::connect(&url).is_ok();
    Some(Record { status: Status { topology, url, description, answers }, dir, pids })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_written() {
        let record = Record {
            status: Status {
                topology: Topology::Cluster,
                url: "redis-cluster://127.0.0.1:1?node=127.0.0.1:2".into(),
                description: "redis 7.0.15, native /usr/bin/redis-server".into(),
                answers: false,
            },
            dir: "/a b/run".into(),
            pids: vec![1, 22],
        };
        assert_eq!(parse(&line(&record)), Some(record));
        assert_eq!(parse("cluster\tonly"), None);
    }
}
