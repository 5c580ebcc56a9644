//! What the command line asks for.

use crate::run::URL;
use crate::worker::Habit;
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;

pub(crate) const HELP: &str = "\
showcase --redis-url URL [--serve]      a service of orders on all five crates

  --redis-url URL   redis://host:port or redis-cluster://host:port?node=host:port;
                    default: what REDIS_PATTERNS_SHOWCASE_URL says
  --serve           leave the service running, with the lines to try, until Ctrl-C

`cargo xtask demo` starts a server and then this. The other processes of a run are started by it:
worker (takes jobs), holder (is paused in the middle of a write), sweeper (cleans up at the end).
";

/// One of the processes of a run.
#[derive(Debug)]
pub(crate) enum Task {
    /// Says how to call this.
    Help,
    /// Plays all acts.
    Demo {
        /// Where Redis is.
        url: String,
    },
    /// Leaves the service running.
    Serve {
        /// Where Redis is.
        url: String,
    },
    /// Takes jobs from the queue.
    Worker(Habit),
    /// Takes a lock and writes late.
    Holder,
    /// Removes what a run leaves.
    Sweeper,
}

/// Reads a command line, whose first word is the program.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Task, String> {
    read(Parser::from_iter(words), std::env::var(URL).ok())
        .map_err(|error| format!("{error}; `showcase --help` says what there is"))
}

fn read(mut words: Parser, mut url: Option<String>) -> Result<Task, lexopt::Error> {
    let (mut serve, mut habit, mut role) = (false, Habit::Diligent, None);
    while let Some(arg) = words.next()? {
        match arg {
            Arg::Long("redis-url") => url = Some(words.value()?.string()?),
            Arg::Long("serve") => serve = true,
            Arg::Long("stall") => habit = Habit::Stalling,
            Arg::Long("help") | Arg::Short('h') => return Ok(Task::Help),
            Arg::Value(word) if role.is_none() => role = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match (role.as_deref(), url) {
        (Some("worker"), _) => Ok(Task::Worker(habit)),
        (Some("holder"), _) => Ok(Task::Holder),
        (Some("sweeper"), _) => Ok(Task::Sweeper),
        (Some(other), _) => Err(format!("there is no task {other:?}").into()),
        (None, None) => {
            Err("--redis-url is missing; `cargo xtask demo` starts a server and passes its URL".into())
        }
        (None, Some(url)) if serve => Ok(Task::Serve { url }),
        (None, Some(url)) => Ok(Task::Demo { url }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Task, lexopt::Error> {
        read(Parser::from_iter(["showcase"].iter().chain(words).map(OsString::from)), None)
    }

    #[test]
    fn a_url_plays_the_acts_and_serve_leaves_it_running() {
        let url = ["--redis-url", "redis://127.0.0.1:6379", "--serve"];
        assert!(matches!(parsed(&url[..2]), Ok(Task::Demo { .. })));
        assert!(matches!(parsed(&url), Ok(Task::Serve { .. })));
    }

    #[test]
    fn what_makes_no_sense_is_one_line() {
        for words in [&[][..], &["--redis-url"], &["--nonsense"], &["baker"], &["worker", "twice"]] {
            let text = parsed(words).unwrap_err().to_string();
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}
