//! What the caller asks for: which server, in which topology, by which means.

use std::fmt;
use std::str::FromStr;

use super::{Error, Flavour};

/// How the servers of one start hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topology {
    /// One server.
    Standalone,
    /// Three primaries with a replica each.
    Cluster,
}

/// Which server is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServerChoice {
    /// What is there: `REDIS_URL` when it fits, else the first server that can be started.
    #[default]
    Auto,
    /// Redis 7.
    Redis7,
    /// Redis 8.
    Redis8,
    /// Valkey 9.
    Valkey9,
    /// A server that runs already: `redis://`, `rediss://` or `redis-cluster://`.
    Url(String),
}

/// By which means servers are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// A server program on PATH, else a Docker image, else the distribution's package.
    #[default]
    Auto,
    /// Processes of this machine only: a program on PATH, else the distribution's package.
    Native,
    /// The services of this repository's `docker-compose.yml`.
    Compose,
}

impl ServerChoice {
    /// The image that holds this server.
    pub(super) fn image(&self) -> &'static str {
        match self {
            Self::Redis7 => "redis:7",
            Self::Valkey9 => "valkey/valkey:9",
            Self::Auto | Self::Redis8 | Self::Url(_) => "redis:8",
        }
    }

    /// Whether a server of this flavour and version is what was asked for.
    pub(super) fn accepts(&self, flavour: Flavour, version: &str) -> bool {
        let major = version.split('.').next().unwrap_or_default();
        match self {
            Self::Auto | Self::Url(_) => true,
            Self::Redis7 => flavour == Flavour::Redis && major == "7",
            Self::Redis8 => flavour == Flavour::Redis && major == "8",
            Self::Valkey9 => flavour == Flavour::Valkey && major == "9",
        }
    }
}

impl FromStr for ServerChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "redis7" => Ok(Self::Redis7),
            "redis8" => Ok(Self::Redis8),
            "valkey9" => Ok(Self::Valkey9),
            url if url.contains("://") => Ok(Self::Url(url.to_owned())),
            other => Err(unknown("server", other, "auto, redis7, redis8, valkey9 or a redis:// URL")),
        }
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "native" => Ok(Self::Native),
            "compose" => Ok(Self::Compose),
            other => Err(unknown("backend", other, "auto, native or compose")),
        }
    }
}

impl FromStr for Topology {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "standalone" => Ok(Self::Standalone),
            "cluster" => Ok(Self::Cluster),
            other => Err(unknown("topology", other, "standalone or cluster")),
        }
    }
}

fn unknown(what: &str, given: &str, known: &str) -> Error {
    Error::unusable(format!("there is no {what} called {given:?}"), format!("use {known}"))
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "standalone",
            Self::Cluster => "cluster",
        })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Compose => "compose",
        })
    }
}

impl fmt::Display for ServerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Redis7 => "redis7",
            Self::Redis8 => "redis8",
            Self::Valkey9 => "valkey9",
            // A URL may hold a password.
            Self::Url(url) => return f.write_str(&super::external::without_password(url)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_to_what_they_print() {
        for text in ["auto", "redis7", "redis8", "valkey9", "redis://127.0.0.1:6379"] {
            assert_eq!(text.parse::<ServerChoice>().unwrap().to_string(), text);
        }
        for text in ["auto", "native", "compose"] {
            assert_eq!(text.parse::<Backend>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "redis6".parse::<ServerChoice>().unwrap_err().to_string();
        assert!(error.contains("redis6") && error.contains("redis7, redis8, valkey9"), "{error}");
    }

    #[test]
    fn a_choice_accepts_its_own_major_only() {
        assert!(ServerChoice::Redis7.accepts(Flavour::Redis, "7.0.15"));
        assert!(!ServerChoice::Redis7.accepts(Flavour::Redis, "8.0.2"));
        assert!(!ServerChoice::Redis8.accepts(Flavour::Valkey, "8.1.1"));
        assert!(ServerChoice::Auto.accepts(Flavour::Valkey, "9.1.2"));
    }
}
