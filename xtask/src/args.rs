//! The command line of one task: what stands before `--` and what stands after.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt};

use crate::failure::Failure;

/// The arguments after the task's name.
#[derive(Debug)]
pub(crate) struct Args {
    own: Vec<OsString>,
    rest: Option<Vec<OsString>>,
}

impl Args {
    pub(crate) fn new(argv: impl Iterator<Item = impl Into<OsString>>) -> Self {
        let mut own: Vec<OsString> = argv.map(Into::into).collect();
        let rest = own.iter().position(|arg| arg == "--").map(|at| {
            let rest = own.split_off(at + 1);
            own.pop();
            rest
        });
        Self { own, rest }
    }

    /// Every argument as it was given, for a program that reads them itself.
    pub(crate) fn words(self) -> Vec<OsString> {
        let rest = self.rest.into_iter().flat_map(|rest| [OsString::from("--")].into_iter().chain(rest));
        self.own.into_iter().chain(rest).collect()
    }

    /// Hands each argument before `--` to `take`: `--name`, `-n` or a plain word. It answers false
    /// for one it does not know. Gives back what follows `--`, or `None` when only the help was
    /// asked for, which is then printed.
    pub(crate) fn parse(
        self,
        help: &str,
        mut take: impl FnMut(&str, &mut Values) -> Result<bool, Failure>,
    ) -> Result<Option<Vec<OsString>>, Failure> {
        let mut values = Values(Parser::from_args(self.own));
        while let Some(arg) = values.next_argument()? {
            if matches!(arg.as_str(), "-h" | "--help") {
                print!("{help}");
                return Ok(None);
            }
            if !take(&arg, &mut values)? {
                return Err(Failure::usage(format!("{arg:?} means nothing here; --help lists the options")));
            }
        }
        Ok(Some(self.rest.unwrap_or_default()))
    }

    /// As [`Args::parse`], for a task that hands nothing on. `false`: only the help was asked for.
    pub(crate) fn parse_all(
        self,
        help: &str,
        take: impl FnMut(&str, &mut Values) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        if self.rest.is_some() {
            return Err(Failure::usage("this task hands no arguments on, so nothing may follow `--`"));
        }
        Ok(self.parse(help, take)?.is_some())
    }
}

/// Where an option finds its value.
pub(crate) struct Values(Parser);

impl Values {
    /// The value of the option at hand.
    pub(crate) fn text(&mut self) -> Result<String, Failure> {
        Ok(self.0.value()?.string()?)
    }

    fn next_argument(&mut self) -> Result<Option<String>, Failure> {
        Ok(match self.0.next()? {
            None => None,
            Some(Arg::Short(letter)) => Some(format!("-{letter}")),
            Some(Arg::Long(name)) => Some(format!("--{name}")),
            Some(Arg::Value(word)) => Some(word.string()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_hands_nothing_on_refuses_two_dashes() {
        let failure = Args::new(["--", "x"].iter()).parse_all("", |_, _| Ok(true)).unwrap_err();
        assert_eq!(failure.code(), 2);
    }
}
