//! A server or cluster of the asked kind, by the first way that works.

use super::compose::Compose;
use super::group::Kept;
use super::{Backend, Cluster, Error, Launcher, Options, ServerChoice, Standalone, Topology, external};

/// Servers that are gone when this is dropped, unless they were there before.
#[derive(Debug)]
pub struct Running {
    topology: Topology,
    url: String,
    description: String,
    servers: Servers,
}

#[derive(Debug)]
enum Servers {
    Standalone(Standalone),
    Cluster(Cluster),
    Compose(Compose),
    /// Named by a URL: not ours.
    External,
}

/// Starts servers, or takes those that the choice (or `REDIS_URL`) names.
///
/// `REDIS_URL` counts when nothing special is asked for and its scheme fits the topology.
///
/// # Errors
///
/// One text with everything that was tried, each with its reason, and the next step.
pub fn start(topology: Topology, choice: &ServerChoice, backend: Backend) -> Result<Running, Error> {
    if let ServerChoice::Url(url) = choice {
        return external(topology, url.clone());
    }
    if *choice == ServerChoice::Auto
        && backend == Backend::Auto
        && let Ok(url) = std::env::var("REDIS_URL")
        && external::topology_of(&url)? == topology
    {
        return external(topology, url);
    }
    launch(topology, choice, backend, false)
}

/// Starts servers of ours. `known_ports`: on the ports that people expect, where these are free.
pub(super) fn launch(
    topology: Topology,
    choice: &ServerChoice,
    backend: Backend,
    known_ports: bool,
) -> Result<Running, Error> {
    let first = known_ports.then_some(match topology {
        Topology::Standalone => 6379,
        Topology::Cluster => 7000,
    });
    let (servers, url, how) = if backend == Backend::Compose {
        let compose = Compose::start(topology, choice, first)?;
        let url = compose.url().to_owned();
        (Servers::Compose(compose), url, format!("compose {}", choice.image()))
    } else {
        let launcher = Launcher::find(choice, backend)?;
        let options = Options::new().preferred_port(first);
        let (servers, url) = native(topology, &launcher, &options)?;
        (servers, url, launcher.describe())
    };
    let name = external::name_of(&mut external::connect(&url)?)?;
    Ok(Running { topology, url, description: format!("{name}, {how}"), servers })
}

fn native(topology: Topology, launcher: &Launcher, options: &Options) -> Result<(Servers, String), Error> {
    Ok(match topology {
        Topology::Standalone => {
            let server = Standalone::start_with(launcher, options)?;
            let url = server.url().to_owned();
            (Servers::Standalone(server), url)
        }
        Topology::Cluster => {
            let cluster = Cluster::start_with(launcher, options)?;
            let url = cluster.url().to_owned();
            (Servers::Cluster(cluster), url)
        }
    })
}

fn external(topology: Topology, url: String) -> Result<Running, Error> {
    let description = external::check(&url, topology)?;
    Ok(Running { topology, url, description, servers: Servers::External })
}

impl Running {
    /// `redis://…` or `redis-cluster://…?node=…`. May hold a password when it was given so.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What runs and how, such as `redis 7.0.15, native /usr/bin/redis-server`.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// One server or a cluster.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Lets the servers outlive this process; answers what is needed to end them.
    pub(super) fn keep(self) -> Result<Kept, Error> {
        match self.servers {
            Servers::Standalone(server) => server.keep(),
            Servers::Cluster(cluster) => cluster.keep(),
            Servers::Compose(compose) => compose.keep(),
            Servers::External => Err(Error::unusable(
                "this server was not started here",
                "it runs already: nothing is to be brought up",
            )),
        }
    }
}
