//! The command line.

use crate::check::Output;
use lexopt::{Arg, Parser, ValueExt};
use redis_monitor::{DoctorOptions, Namespace, Pattern};
use redis_patterns_core::{Redis, RedisBuilder};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

pub(crate) const HELP: &str = "\
redis-doctor check URL      examine every server once and say what is not as it should be
redis-doctor watch URL      the same in this terminal, again and again; q ends it
redis-doctor export URL     answer GET /metrics for Prometheus; each scrape examines
redis-doctor serve URL      a page with live charts of servers, queues, locks and workers

  --json              check: a machine's report
  --listen ADDRESS    export, serve: where to listen, 127.0.0.1:9187 and 127.0.0.1:9188 unless set
  --every SECONDS     watch, serve: between two examinations, 2 and 5 unless set
  --frames N          watch: end after this many pictures
  --host NAME         serve: a name by which the page may be called; addresses and localhost may always
  --allow-actions     serve: retry, delete and replay dead letters, release locks; takes the token in the
                      variable REDIS_DOCTOR_TOKEN, or makes one up and prints it
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
    Check { target: Target, output: Output },
    Watch { target: Target, every: Duration, frames: Option<NonZeroU32> },
    Export { target: Target, listen: SocketAddr },
    Serve { target: Target, listen: SocketAddr, every: Duration, names: Vec<String>, acting: Acting },
}

/// Whether the page may do more than look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acting {
    No,
    Yes,
}

/// What to examine, and how.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) options: DoctorOptions,
    namespace: Namespace,
    deadline: Duration,
}

impl Target {
    /// A handle as the patterns use it.
    pub(crate) fn redis(&self) -> RedisBuilder {
        Redis::builder(&self.url)
            .namespace(self.namespace.clone())
            .connect_deadline(self.deadline)
            .command_deadline(self.deadline)
    }
}

/// Everything that may be said, before it is known what it is for.
struct Words {
    task: Option<String>,
    target: Target,
    output: Option<Output>,
    listen: Option<SocketAddr>,
    every: Option<Duration>,
    frames: Option<NonZeroU32>,
    names: Vec<String>,
    acting: Acting,
}

pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let (namespace, options) = (Namespace::default(), DoctorOptions::new());
    let target = Target { url: String::new(), options, namespace, deadline: Duration::from_secs(3) };
    let (output, listen, every, frames) = (None, None, None, None);
    let mut words =
        Words { task: None, target, output, listen, every, frames, names: Vec::new(), acting: Acting::No };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(word) if words.task.is_none() => words.task = Some(word.string()?),
            Arg::Value(word) if words.target.url.is_empty() => words.target.url = word.string()?,
            // The text of what was given may be a URL with a password.
            Arg::Value(_) => return Err("one URL is enough".into()),
            Arg::Long(name) => {
                let name = name.to_owned();
                words.take(&name, &mut parser)?;
            }
            other => return Err(other.unexpected()),
        }
    }
    words.command()
}

impl Words {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), lexopt::Error> {
        match name {
            "json" => self.output = Some(Output::Machine),
            "listen" => self.listen = Some(parser.value()?.parse()?),
            "every" => self.every = Some(parser.value()?.parse_with(seconds)?),
            "frames" => self.frames = Some(parser.value()?.parse()?),
            "host" => self.names.push(parser.value()?.string()?),
            "allow-actions" => self.acting = Acting::Yes,
            _ => self.target.take(name, parser)?,
        }
        Ok(())
    }

    fn command(self) -> Result<Command, lexopt::Error> {
        let task = self.task.clone().ok_or("a task is missing: check, watch, export or serve")?;
        self.fits(&task)?;
        let Self { mut target, output, listen, every, frames, names, acting, .. } = self;
        if task == "help" {
            return Ok(Command::Help);
        }
        if target.url.is_empty() {
            target.url =
                std::env::var("REDIS_URL").map_err(|_| "a URL is missing, and REDIS_URL is not set")?;
        }
        let every = |seconds| every.unwrap_or(Duration::from_secs(seconds));
        let listen = |port| listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], port)));
        Ok(match task.as_str() {
            "check" => Command::Check { target, output: output.unwrap_or(Output::Person) },
            "watch" => Command::Watch { target, every: every(2), frames },
            "export" => Command::Export { target, listen: listen(9187) },
            _ => Command::Serve { target, listen: listen(9188), every: every(5), names, acting },
        })
    }

    /// Whether the task knows every option that was given.
    fn fits(&self, task: &str) -> Result<(), String> {
        const TASKS: [&str; 5] = ["help", "check", "watch", "export", "serve"];
        if !TASKS.contains(&task) {
            return Err("the tasks are check, watch, export and serve".into());
        }
        let given: [(&str, bool, &[&str]); 6] = [
            ("--json", self.output.is_some(), &["check"]),
            ("--listen", self.listen.is_some(), &["export", "serve"]),
            ("--every", self.every.is_some(), &["watch", "serve"]),
            ("--frames", self.frames.is_some(), &["watch"]),
            ("--host", !self.names.is_empty(), &["serve"]),
            ("--allow-actions", self.acting == Acting::Yes, &["serve"]),
        ];
        let stray = given.iter().find(|(_, given, tasks)| *given && !tasks.contains(&task));
        stray.map_or(Ok(()), |(option, _, tasks)| Err(format!("{option} is for {}", tasks.join(" and "))))
    }
}

impl Target {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), lexopt::Error> {
        let options = std::mem::take(&mut self.options);
        self.options = match name {
            "namespace" => {
                self.namespace = parser.value()?.parse_with(Namespace::new)?;
                options.namespace(self.namespace.clone())
            }
            "uses" => options.uses(parser.value()?.parse_with(patterns)?),
            "queue" => options.queue(parser.value()?.string()?),
            "keys" => options.sampled_keys(parser.value()?.parse::<NonZeroU32>()?),
            "interval" => options.interval(parser.value()?.parse_with(seconds)?),
            "deadline" => {
                self.deadline = parser.value()?.parse_with(seconds)?;
                options.deadline(self.deadline)
            }
            unknown => return Err(format!("there is no option --{unknown}").into()),
        };
        Ok(())
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
        assert!(error(&["chekc", "redis://h:1"]).contains("check, watch"));
        assert!(!error(&["check", "redis://h:1", "redis://:secret@h:2"]).contains("secret"));
        assert!(error(&["check", "redis://h:1", "--listen", "127.0.0.1:1"]).contains("export"));
        assert!(error(&["check", "redis://h:1", "--interval", "0"]).contains("above 0"));
        assert!(error(&["check", "redis://h:1", "--uses", "queues"]).contains("queue"));
        assert!(error(&["check", "redis://h:1", "--allow-actions"]).contains("for serve"));
        assert!(error(&["check", "redis://h:1", "--colour"]).contains("--colour"));
        assert!(error(&[]).contains("task"));
    }

    #[test]
    fn what_listens_listens_on_loopback_unless_told_and_only_looks() {
        let command = parse(Parser::from_args(["export", "redis://h:1"]));
        assert!(matches!(command, Ok(Command::Export { listen, .. }) if listen.ip().is_loopback()));
        let command = parse(Parser::from_args(["serve", "redis://h:1"]));
        let Ok(Command::Serve { listen, acting, .. }) = command else { panic!("not taken") };
        assert!(listen.ip().is_loopback() && acting == Acting::No);
    }
}
