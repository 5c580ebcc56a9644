//! One server.

use super::group::{Group, Kept};
use super::launcher::Spec;
use super::ports::Port;
use super::{Error, Launcher, Node, Options};

/// One server, gone when this is dropped.
#[derive(Debug)]
pub struct Standalone {
    group: Group,
    url: String,
}

impl Standalone {
    /// Starts a server with the default [`Options`].
    ///
    /// # Errors
    ///
    /// When it does not start; the error holds the end of its log.
    pub fn start(launcher: &Launcher) -> Result<Self, Error> {
        Self::start_with(launcher, &Options::new())
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// As [`Standalone::start`].
    pub fn start_with(launcher: &Launcher, options: &Options) -> Result<Self, Error> {
        Group::retried(|| {
            let port = options.first_port().map_or_else(Port::any, Port::preferred)?;
            let spec = spec("redis", port, options);
            let url = format!("redis://{}127.0.0.1:{}", options.userinfo(), spec.port.number());
            let group = Group::start(launcher, vec![spec], options.secret())?;
            Ok(Self { group, url })
        })
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.group.nodes[0]
    }

    /// The server, as the other topologies have it.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.group.nodes
    }

    pub(super) fn keep(self) -> Result<Kept, Error> {
        self.group.keep()
    }
}

/// A server with nothing but the group's options.
pub(super) fn spec(name: &str, port: Port, options: &Options) -> Spec {
    Spec {
        name: name.to_owned(),
        port,
        more_ports: Vec::new(),
        args: options.args().to_vec(),
        files: Vec::new(),
    }
}
