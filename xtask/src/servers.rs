//! Servers: by hand (`up`, `down`, `status`), and for the length of one task.

use std::process::Command;

use redis_patterns_testkit::servers::{self, Running, ServerChoice, Topology};

use crate::args::Args;
use crate::failure::Failure;
use crate::server_args::{ServerArgs, Topologies};

const UP: &str = "\
cargo xtask up [options]        start servers and leave them running until `cargo xtask down`

  --topology standalone|cluster|all     default: standalone
  --server auto|redis7|redis8|valkey9   default: auto, the first that can be had here
  --backend auto|native|compose         default: auto; native needs no Docker
";

const DOWN: &str = "cargo xtask down        stop the servers that `cargo xtask up` started\n";

const STATUS: &str = "\
cargo xtask status      say which servers `cargo xtask up` left running, and which could be started here
";

pub(crate) fn up(args: Args) -> Result<(), Failure> {
    let mut asked = ServerArgs::default();
    if !args.parse_all(UP, |arg, values| asked.take(arg, values))? {
        return Ok(());
    }
    if matches!(asked.choice, ServerChoice::Url(_)) {
        return Err(Failure::usage(
            "a server with a URL is up already; `up` takes redis7, redis8 or valkey9",
        ));
    }
    for topology in asked.topology.unwrap_or(Topologies::Standalone).each() {
        eprintln!("starting {topology} ...");
        println!("{}", servers::up(*topology, &asked.choice, asked.backend).map_err(one_line)?);
    }
    println!("`cargo xtask down` stops what is up");
    Ok(())
}

pub(crate) fn down(args: Args) -> Result<(), Failure> {
    if !args.parse_all(DOWN, |_, _| Ok(false))? {
        return Ok(());
    }
    let stopped = servers::down().map_err(one_line)?;
    for server in &stopped {
        println!("stopped {server}");
    }
    if stopped.is_empty() {
        println!("nothing was up");
    }
    Ok(())
}

pub(crate) fn status(args: Args) -> Result<(), Failure> {
    let mut asked = ServerArgs::default();
    if !args.parse_all(STATUS, |arg, values| Ok(arg == "--backend" && asked.take(arg, values)?))? {
        return Ok(());
    }
    let up = servers::status().map_err(one_line)?;
    for server in &up {
        println!("{server}");
    }
    if up.is_empty() {
        println!("nothing is up; `cargo xtask up` starts a server");
    }
    for (way, outcome) in servers::available(asked.backend) {
        match outcome {
            Ok(found) => println!("available  {way}: {found}"),
            Err(reason) => println!("missing    {way}: {reason}"),
        }
    }
    Ok(())
}

/// The servers of one task; they end with it.
pub(crate) struct Fleet {
    pub(crate) running: Vec<Running>,
    /// What was not started, and why.
    pub(crate) missing: Vec<(Topology, String)>,
}

impl Fleet {
    /// Starts what was asked for. What was not asked for by name may be missing.
    pub(crate) fn start(asked: &ServerArgs, default: Topologies) -> Result<Self, Failure> {
        let mut fleet = Self { running: Vec::new(), missing: Vec::new() };
        let wanted = match &asked.choice {
            ServerChoice::Url(url) => fleet.behind_url(url, asked.topology)?,
            _ => asked.topology.unwrap_or(default).each(),
        };
        for topology in wanted {
            match &asked.choice {
                ServerChoice::Url(_) => eprintln!("looking at {} ...", asked.choice),
                _ => eprintln!("starting {topology} ..."),
            }
            match servers::start(*topology, &asked.choice, asked.backend) {
                Ok(running) => fleet.welcome(running),
                Err(error) if asked.topology.is_none() && !fleet.running.is_empty() => {
                    fleet.missing.push((*topology, one_line(error).to_string()));
                }
                Err(error) => return Err(one_line(error)),
            }
        }
        Ok(fleet)
    }

    /// A URL leads to one server or to one cluster, and its scheme says to which. The start that
    /// follows looks whether that is true, before anything is built.
    fn behind_url(&mut self, url: &str, asked: Option<Topologies>) -> Result<&'static [Topology], Failure> {
        let (there, other) = match url.split_once("://") {
            Some((scheme, _)) if scheme.ends_with("-cluster") => (Topologies::Cluster, Topology::Standalone),
            _ => (Topologies::Standalone, Topology::Cluster),
        };
        let reason = format!("--server names a {}", there.name());
        if asked.is_some_and(|asked| asked != there) {
            let next = format!("say --topology {}, or name another server", there.name());
            return Err(Failure::usage(format!("{reason}; {next}")));
        }
        self.missing.push((other, reason));
        Ok(there.each())
    }

    fn welcome(&mut self, running: Running) {
        eprintln!("  {}", running.describe());
        self.running.push(running);
    }

    pub(crate) fn url(&self, topology: Topology) -> Option<&str> {
        self.running.iter().find(|running| running.topology() == topology).map(Running::url)
    }

    /// Tells a program where the servers are. What is not there must not be inherited either.
    pub(crate) fn tell(&self, command: &mut Command) {
        for (topology, variable) in [
            (Topology::Standalone, "REDIS_PATTERNS_STANDALONE_URL"),
            (Topology::Cluster, "REDIS_PATTERNS_CLUSTER_URL"),
        ] {
            match self.url(topology) {
                Some(url) => command.env(variable, url),
                None => command.env_remove(variable),
            };
        }
        let topologies = match (self.url(Topology::Standalone), self.url(Topology::Cluster)) {
            (Some(_), Some(_)) => Topologies::All,
            (None, Some(_)) => Topologies::Cluster,
            _ => Topologies::Standalone,
        };
        command.env("REDIS_PATTERNS_TOPOLOGY", topologies.name());
    }
}

/// The test kit explains over several lines; a failure of ours is one.
fn one_line(error: servers::Error) -> Failure {
    let text = error.to_string();
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '-']));
    Failure::task(lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ").replace("; Next: ", "; next: "))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn started(url: &str, topology: Option<Topologies>) -> Result<Fleet, Failure> {
        let choice = ServerChoice::Url(url.into());
        Fleet::start(&ServerArgs { topology, choice, ..ServerArgs::default() }, Topologies::All)
    }

    fn failure(url: &str) -> String {
        let text = started(url, None).err().unwrap().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("; next: ") && !text.contains("hunter2"), "{text}");
        text
    }

    /// A port where every caller is told `speech`, whatever it asks.
    fn port_that_says(speech: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            // Kept open: a close with unread words in it would take the speech back.
            let mut heard = Vec::new();
            for mut caller in listener.incoming().flatten() {
                caller.write_all(speech.as_bytes()).unwrap();
                heard.push(caller);
            }
        });
        address
    }

    #[test]
    fn no_server_is_one_line_with_the_next_step() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(failure(&format!("redis://u:hunter2@{free}")).contains("nothing answers"));
    }

    #[test]
    fn a_port_of_another_service_is_told_apart() {
        let address = port_that_says("HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(failure(&format!("redis://{address}")).contains("Redis protocol"));
    }

    #[test]
    fn a_missing_and_a_wrong_password_are_told_apart() {
        let closed = port_that_says("-NOAUTH Authentication required.\r\n");
        assert!(failure(&format!("redis://{closed}")).contains("asks for a password"));
        let wrong = port_that_says("-WRONGPASS invalid username-password pair\r\n");
        assert!(failure(&format!("redis://:hunter2@{wrong}")).contains("refuses"));
    }

    #[test]
    fn an_old_server_is_refused() {
        let old = port_that_says("+PONG\r\n$22\r\nredis_version:6.2.14\r\n\r\n");
        assert!(failure(&format!("redis://{old}")).contains("6.2.14"));
    }

    #[test]
    fn a_scheme_and_a_topology_that_contradict_are_wrong_usage() {
        let failure = started("redis-cluster://127.0.0.1:1", Some(Topologies::All)).err().unwrap();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("--topology cluster"), "{failure}");
    }
}
