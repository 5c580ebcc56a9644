//! How the servers of a test are set up.

/// Settings of every server in a group. The defaults are the fastest ones: nothing is written to
/// disk, no password, one replica where the topology has replicas.
#[derive(Debug, Clone)]
pub struct Options {
    args: Vec<String>,
    password: Option<String>,
    replicas: usize,
    preferred_port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self { args: Vec::new(), password: None, replicas: 1, preferred_port: None }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One setting by its name in redis.conf, such as `("lua-time-limit", "100")`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.args.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Writes an append-only file, synced once a second: a killed server has its data back after
    /// `restart()`.
    #[must_use]
    pub fn append_only(self) -> Self {
        self.set("appendonly", "yes")
    }

    /// At most this many bytes of data; more is refused, nothing is evicted.
    #[must_use]
    pub fn max_memory(self, bytes: u64) -> Self {
        self.set("maxmemory", &bytes.to_string()).set("maxmemory-policy", "noeviction")
    }

    /// The password of the default user, also between the servers.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.set("requirepass", password).set("masterauth", password)
    }

    /// How many replicas a primary has in [`Replicated`](super::Replicated) and
    /// [`Sentinel`](super::Sentinel). A cluster always has one for each primary.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The (first) port to use if it is free.
    pub(super) fn preferred_port(mut self, port: Option<u16>) -> Self {
        self.preferred_port = port;
        self
    }

    pub(super) fn first_port(&self) -> Option<u16> {
        self.preferred_port
    }

    pub(super) fn args(&self) -> &[String] {
        &self.args
    }

    pub(super) fn secret(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(super) fn replica_count(&self) -> usize {
        self.replicas
    }

    /// What stands before the `@` of a URL, with it; empty without a password.
    pub(super) fn userinfo(&self) -> String {
        let Some(password) = &self.password else { return String::new() };
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        };
        format!(":{}@", password.bytes().map(encode).collect::<String>())
    }
}
