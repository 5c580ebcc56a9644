//! The command line.

use crate::ring::{Asked, Ring};
use lexopt::{Arg, Parser, ValueExt};
use redis_patterns_testkit::servers::Topology;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
cargo xtask chaos [pattern ..] [options]

  ratelimit lock idem session queue    default: all five
  --fault F3                           default: those of the ring; may be given again
  --topology standalone|cluster        default: both
  --ring push|merge|nightly|release    default: merge; push takes 5 minutes at most, merge 15
  --minutes N                          so long in all, instead of the ring's time
  --seed S                             repeats a schedule of faults; default: a random one
  --controls                           only the wrong implementations, which must be caught
  --out DIR                            histories and report.json; default: target/chaos
  --write-docs                         puts the counts of report.json into the documentation
";

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) asked: Asked,
    pub(crate) ring: Ring,
    pub(crate) time: Option<Duration>,
    pub(crate) seed: u64,
    pub(crate) only_controls: bool,
    pub(crate) write_docs: bool,
    pub(crate) out: PathBuf,
}

/// `None`: only the help was asked for.
pub(crate) fn parse(argv: impl Iterator<Item = String>) -> Result<Option<Args>, Box<dyn Error>> {
    let mut parser = Parser::from_args(argv);
    let mut args = Args {
        asked: Asked::default(),
        ring: Ring::Merge,
        time: None,
        seed: fastrand::u64(..1 << 32),
        only_controls: false,
        write_docs: false,
        out: PathBuf::from("target/chaos"),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            Arg::Value(pattern) => args.asked.patterns.push(pattern.parse()?),
            Arg::Long("fault") => args.asked.faults.push(parser.value()?.parse()?),
            Arg::Long("topology") => args.asked.topology = topology(&parser.value()?.string()?)?,
            Arg::Long("ring") => args.ring = parser.value()?.parse()?,
            Arg::Long("minutes") => {
                args.time = Some(Duration::from_secs(60 * parser.value()?.parse::<u64>()?));
            }
            Arg::Long("seed") => args.seed = parser.value()?.parse()?,
            Arg::Long("out") => args.out = parser.value()?.into(),
            Arg::Long("controls") => args.only_controls = true,
            Arg::Long("write-docs") => args.write_docs = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(args))
}

fn topology(text: &str) -> Result<Option<Topology>, String> {
    match text {
        "standalone" => Ok(Some(Topology::Standalone)),
        "cluster" => Ok(Some(Topology::Cluster)),
        "all" => Ok(None),
        _ => Err(format!("no topology {text:?}; there are standalone, cluster, all")),
    }
}
