//! `cargo xtask demo`: the showcase on a server of its own.

use redis_patterns_testkit::servers::Topology;

use crate::args::Args;
use crate::cargo::{cargo, run as run_cargo};
use crate::failure::Failure;
use crate::server_args::{ServerArgs, Topologies};
use crate::servers::Fleet;

const HELP: &str = "\
cargo xtask demo [options]      all five patterns at work on a real server

  --serve                                   leave the service running, with the lines to try
  --topology standalone|cluster             default: standalone
  --server auto|redis7|redis8|valkey9|URL   default: auto, the first that can be had here
  --backend auto|native|compose             default: auto; native needs no Docker
";

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut asked = ServerArgs::default();
    let mut serve = false;
    let go_on = args.parse_all(HELP, |arg, values| match arg {
        "--serve" => Ok(true).inspect(|_| serve = true),
        _ => asked.take(arg, values),
    })?;
    if !go_on {
        return Ok(());
    }
    if asked.topology == Some(Topologies::All) {
        return Err(Failure::usage("the demo runs on one topology: say standalone or cluster"));
    }
    let fleet = Fleet::start(&asked, Topologies::Standalone)?;
    let url = fleet.url(Topology::Standalone).or_else(|| fleet.url(Topology::Cluster)).unwrap_or_default();
    // Not quiet: the first build takes a minute or more. The URL may hold a password, and a command
    // line is everybody's to read.
    let mut command = cargo(["run", "-p", "showcase", "--bin", "showcase"]);
    command.env("REDIS_PATTERNS_SHOWCASE_URL", url);
    if serve {
        command.args(["--", "--serve"]);
    }
    run_cargo(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_takes_one_topology() {
        let failure = run(Args::new(["--topology", "all"].iter())).unwrap_err();
        assert_eq!(failure.code(), 2);
    }
}
