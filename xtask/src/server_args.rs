//! The options that choose servers, shared by every task that needs some.

use redis_patterns_testkit::servers::{Backend, ServerChoice, Topology};

use crate::args::Values;
use crate::failure::Failure;

/// `--topology`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topologies {
    Standalone,
    Cluster,
    All,
}

impl Topologies {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "standalone" => Ok(Self::Standalone),
            "cluster" => Ok(Self::Cluster),
            "all" => Ok(Self::All),
            _ => Err(Failure::usage(format!("--topology {text:?}: say standalone, cluster or all"))),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Cluster => "cluster",
            Self::All => "all",
        }
    }

    pub(crate) fn each(self) -> &'static [Topology] {
        match self {
            Self::Standalone => &[Topology::Standalone],
            Self::Cluster => &[Topology::Cluster],
            Self::All => &[Topology::Standalone, Topology::Cluster],
        }
    }
}

/// `--topology`, `--server` and `--backend`.
#[derive(Debug)]
pub(crate) struct ServerArgs {
    /// `None`: nothing was said.
    pub(crate) topology: Option<Topologies>,
    pub(crate) choice: ServerChoice,
    pub(crate) backend: Backend,
}

impl Default for ServerArgs {
    fn default() -> Self {
        Self { topology: None, choice: ServerChoice::Auto, backend: Backend::Auto }
    }
}

impl ServerArgs {
    pub(crate) fn take(&mut self, arg: &str, values: &mut Values) -> Result<bool, Failure> {
        match arg {
            "--topology" => self.topology = Some(Topologies::parse(&values.text()?)?),
            "--server" => self.choice = server(&values.text()?)?,
            "--backend" => self.backend = backend(&values.text()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn server(text: &str) -> Result<ServerChoice, Failure> {
    // Not repeated in the message: a URL may hold a password.
    text.parse().map_err(|_| {
        Failure::usage("--server: say auto, redis7, redis8, valkey9, or a URL such as redis://127.0.0.1:6379")
    })
}

fn backend(text: &str) -> Result<Backend, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("--backend {text:?}: say auto, native or compose")))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::args::Args;

    fn servers(argv: &[&str]) -> Result<(ServerArgs, Option<Vec<OsString>>), Failure> {
        let mut servers = ServerArgs::default();
        let rest = Args::new(argv.iter()).parse("help", |arg, values| servers.take(arg, values))?;
        Ok((servers, rest))
    }

    #[test]
    fn nothing_said_is_whatever_is_there() {
        let (servers, rest) = servers(&[]).unwrap();
        assert_eq!(servers.topology, None);
        assert!(matches!(servers.choice, ServerChoice::Auto));
        assert!(matches!(servers.backend, Backend::Auto));
        assert_eq!(rest, Some(vec![]));
    }

    #[test]
    fn each_option_takes_its_value_in_both_spellings() {
        let (servers, _) =
            servers(&["--topology=cluster", "--server", "valkey9", "--backend", "native"]).unwrap();
        assert_eq!(servers.topology, Some(Topologies::Cluster));
        assert!(matches!(servers.choice, ServerChoice::Valkey9));
        assert!(matches!(servers.backend, Backend::Native));
    }

    #[test]
    fn a_url_is_a_server() {
        let (servers, _) = servers(&["--server", "redis://h:1"]).unwrap();
        assert!(matches!(servers.choice, ServerChoice::Url(url) if url == "redis://h:1"));
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        let (_, rest) = servers(&["--topology", "all", "--", "--topology", "x", "--"]).unwrap();
        assert_eq!(rest.unwrap(), ["--topology", "x", "--"]);
    }

    #[test]
    fn wrong_words_are_wrong_usage_and_name_the_right_ones() {
        for (argv, hint) in [
            (&["--topology", "ring"][..], "standalone, cluster or all"),
            (&["--server", "redis5"], "redis7, redis8, valkey9"),
            (&["--backend", "vm"], "auto, native or compose"),
            (&["--topology"], "--help"),
            (&["--fast"], "--help"),
            (&["stray"], "--help"),
        ] {
            let failure = servers(argv).unwrap_err();
            assert_eq!(failure.code(), 2, "{argv:?}");
            assert!(failure.to_string().contains(hint), "{argv:?}: {failure}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let failure = servers(&["--server", "rediss//user:hunter2@h"]).unwrap_err();
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
}
