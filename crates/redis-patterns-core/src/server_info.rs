//! What server this is.

use std::fmt;

/// The make of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavour {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// A version such as 8.0.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// The version `major.minor.0`.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor, patch: 0 }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| part.parse().ok());
        let version =
            Self { major: parts.next()??, minor: parts.next()??, patch: parts.next().flatten().unwrap_or(0) };
        Some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The facts about a server that decide what may be asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The make.
    pub flavour: Flavour,
    /// The version of that make.
    pub version: Version,
    /// Whether the server is a node of a cluster.
    pub cluster: bool,
}

impl ServerInfo {
    /// The facts in the text that `INFO` answers, or `None` if the text is no such answer.
    ///
    /// ```
    /// use redis_patterns_core::{Flavour, ServerInfo};
    ///
    /// let info = ServerInfo::parse("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\ncluster_enabled:1\r\n").unwrap();
    /// assert_eq!(info.flavour, Flavour::Valkey);
    /// assert_eq!(info.version.to_string(), "9.1.2");
    /// assert!(info.cluster);
    /// ```
    #[must_use]
    pub fn parse(info: &str) -> Option<Self> {
        let field =
            |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
        let (flavour, version) = match field("valkey_version") {
            Some(version) => (Flavour::Valkey, version),
            None => (Flavour::Redis, field("redis_version")?),
        };
        Some(Self {
            flavour,
            version: Version::parse(version)?,
            cluster: field("cluster_enabled") == Some("1"),
        })
    }

    /// Whether every crate here can work with the server: Redis 7.0 or Valkey 7.2 or newer.
    #[must_use]
    pub fn is_new_enough(&self) -> bool {
        let floor = match self.flavour {
            Flavour::Redis => Version::new(7, 0),
            Flavour::Valkey => Version::new(7, 2),
        };
        self.version >= floor
    }
}

impl fmt::Display for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavour = match self.flavour {
            Flavour::Redis => "Redis",
            Flavour::Valkey => "Valkey",
        };
        let place = if self.cluster { "cluster" } else { "standalone" };
        write!(f, "{flavour} {} ({place})", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(version: &str) -> ServerInfo {
        ServerInfo::parse(&format!("redis_version:{version}\r\n")).unwrap()
    }

    #[test]
    fn seven_is_the_floor() {
        assert!(!redis("6.2.14").is_new_enough());
        assert!(redis("7.0.0").is_new_enough());
        assert!(redis("8.0.2").is_new_enough());
    }

    #[test]
    fn what_is_no_info_is_not_read_as_one() {
        assert_eq!(ServerInfo::parse("HTTP/1.1 400 Bad Request"), None);
        assert_eq!(ServerInfo::parse("redis_version:next"), None);
    }
}
