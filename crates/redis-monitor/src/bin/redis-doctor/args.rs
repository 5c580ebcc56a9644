//! The command line.

use lexopt::{Arg, Parser, ValueExt};
use redis_monitor::{DoctorOptions, Namespace, Pattern};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

pub(crate) const HELP: &str = "\
redis-doctor check URL      examine every server once and say what is not as it should be
redis-doctor export URL     answer GET /metrics for Prometheus; each scrape examines

  --json              check: a machine's report
  --listen ADDRESS    export: where to listen, 127.0.0.1:9187 unless set
  --namespace NAME    whose keys are sampled, rp unless set
  --uses LIST         of ratelimit,lock,idempotency,session,queue: what this Redis is for, all unless set
  --queue NAME        a queue to look at besides those found among the sampled keys; may be repeated
  --keys N            keys looked through on each primary, 1000 unless set
  --interval SECONDS  between the two samples of the first examination, 1 unless set
  --deadline SECONDS  for a server to answer, 3 unless set

URL: redis://[user:password@]host:port, redis-cluster://host:port or redis-sentinel://...; the variable
REDIS_URL is taken where none is given, and keeps a password out of the list of processes.

Exit status of check: 0 nothing, or notes only; 1 a warning; 2 something critical; 3 not examined.
";

pub(crate) enum Command {
    Help,
    Check { url: String, options: DoctorOptions, output: Output },
    Export { url: String, options: DoctorOptions, listen: SocketAddr },
}

/// Who reads the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Person,
    Machine,
}

pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let (mut task, mut url, mut output, mut listen) = (None, None, None, None);
    let mut options = DoctorOptions::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("json") => output = Some(Output::Machine),
            Arg::Long("listen") => listen = Some(parser.value()?.parse()?),
            Arg::Long("namespace") => {
                options = options.namespace(parser.value()?.parse_with(Namespace::new)?);
            }
            Arg::Long("uses") => options = options.uses(parser.value()?.parse_with(patterns)?),
            Arg::Long("queue") => options = options.queue(parser.value()?.string()?),
            Arg::Long("keys") => options = options.sampled_keys(parser.value()?.parse::<NonZeroU32>()?),
            Arg::Long("interval") => options = options.interval(parser.value()?.parse_with(seconds)?),
            Arg::Long("deadline") => options = options.deadline(parser.value()?.parse_with(seconds)?),
            Arg::Value(word) if task.is_none() => task = Some(word.string()?),
            Arg::Value(word) if url.is_none() => url = Some(word.string()?),
            // The text of what was given may be a URL with a password.
            Arg::Value(_) => return Err("one URL is enough".into()),
            other => return Err(other.unexpected()),
        }
    }
    let Some(task) = task else { return Err("a task is missing: check or export".into()) };
    let url = url.or_else(|| std::env::var("REDIS_URL").ok());
    let url = url.ok_or("a URL is missing, and REDIS_URL is not set");
    match (task.as_str(), output, listen) {
        ("help", ..) => Ok(Command::Help),
        ("check", output, None) => {
            Ok(Command::Check { url: url?, options, output: output.unwrap_or(Output::Person) })
        }
        ("export", None, listen) => {
            let listen = listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9187)));
            Ok(Command::Export { url: url?, options, listen })
        }
        ("check", _, Some(_)) => Err("--listen is for export".into()),
        ("export", Some(_), _) => Err("--json is for check".into()),
        _ => Err("the tasks are check and export".into()),
    }
}

fn patterns(list: &str) -> Result<Vec<Pattern>, String> {
    let one = |name: &str| match name {
        "ratelimit" => Ok(Pattern::RateLimit),
        "lock" => Ok(Pattern::Lock),
        "idempotency" => Ok(Pattern::Idempotency),
        "session" => Ok(Pattern::Session),
        "queue" => Ok(Pattern::Queue),
        _ => Err("the patterns are ratelimit, lock, idempotency, session and queue".to_owned()),
    };
    list.split(',').map(one).collect()
}

/// More than nothing, and a day at most.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "seconds are a number such as 0.5".to_owned())?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("seconds are above 0 and at most 86400".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(args: &[&str]) -> String {
        match parse(Parser::from_args(args)) {
            Ok(_) => panic!("{args:?} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_no_url_is_quoted() {
        assert!(error(&["chekc", "redis://h:1"]).contains("check and export"));
        assert!(!error(&["check", "redis://h:1", "redis://:secret@h:2"]).contains("secret"));
        assert!(error(&["check", "redis://h:1", "--listen", "127.0.0.1:1"]).contains("export"));
        assert!(error(&["check", "redis://h:1", "--interval", "0"]).contains("above 0"));
        assert!(error(&["check", "redis://h:1", "--uses", "queues"]).contains("queue"));
        assert!(error(&[]).contains("task"));
    }

    #[test]
    fn export_listens_on_loopback_unless_told() {
        let command = parse(Parser::from_args(["export", "redis://h:1"]));
        assert!(matches!(command, Ok(Command::Export { listen, .. }) if listen.ip().is_loopback()));
    }
}
