//! The services of this repository's `docker-compose.yml`, under a project name of their own.

use std::time::Duration;

use super::cluster::{is_healthy, url};
use super::command::run;
use super::group::Kept;
use super::guardian::Guardian;
use super::paths::{quoted, workspace};
use super::ports::Port;
use super::resp::Conn;
use super::wait::wait_ok;
use super::{Error, ServerChoice, Topology, docker, paths};

const CLUSTER_SIZE: u16 = 6;
/// Six servers in one container, on a machine that builds something at the same time.
const HEALTHY: Duration = Duration::from_secs(120);

/// Services that are taken down when this is dropped.
#[derive(Debug)]
pub(super) struct Compose {
    guardian: Guardian,
    ports: Vec<Port>,
    url: String,
    program: &'static [&'static str],
    project: String,
}

impl Compose {
    /// Brings up the service for the topology. With `first`, on that port if it is free, under
    /// the project name that people expect; else on free ports under a unique name.
    pub(super) fn start(
        topology: Topology,
        choice: &ServerChoice,
        first: Option<u16>,
    ) -> Result<Self, Error> {
        let program = docker::compose()?;
        docker::ensure_image(choice.image())?;
        let ports = ports(topology, first)?;
        let url = match topology {
            Topology::Standalone => format!("redis://{}", address(&ports[0])),
            Topology::Cluster => url("", ports.iter().map(address)),
        };
        let kept = first.map_or_else(paths::unique, |_| topology.to_string());
        let project = format!("redis-patterns-{kept}");
        let guardian = Guardian::new()?;
        let compose = Self { guardian, ports, url, program, project };
        compose.bring_up(topology, choice)?;
        compose.wait_healthy(topology)?;
        Ok(compose)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Lets the services outlive this process.
    pub(super) fn keep(self) -> Result<Kept, Error> {
        let dir = self.guardian.dir().to_owned();
        self.guardian.release()?;
        Ok(Kept { dir, pids: Vec::new() })
    }

    fn bring_up(&self, topology: Topology, choice: &ServerChoice) -> Result<(), Error> {
        let port = self.ports[0].number();
        let service = match (topology, choice) {
            (Topology::Cluster, _) => "cluster",
            (Topology::Standalone, ServerChoice::Valkey9) => "valkey",
            (Topology::Standalone, _) => "redis",
        };
        let last = port + CLUSTER_SIZE - 1;
        let image = choice.image();
        let script = format!(
            "export REDIS_PORT={port} VALKEY_PORT={port} CLUSTER_PORTS={port}-{last}\n\
             export REDIS_IMAGE={image} VALKEY_IMAGE={image} CLUSTER_IMAGE={image}\n\
             {} up -d {service}\n",
            self.words()
        );
        let down = format!("{} down -v -t 0 --remove-orphans\n", self.words());
        self.guardian.set_cleanup(&down)?;
        paths::write(&self.guardian.dir().join("start"), &script)?;
        let job = self.guardian.job("start", "log")?;
        if self.guardian.join(job)? == 0 {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.guardian.dir().join("log")).unwrap_or_default();
        Err(Error::unusable(
            format!("{} up {service} failed:\n{}", self.program.join(" "), log.trim()),
            "see what compose says above, or use --backend native",
        ))
    }

    fn wait_healthy(&self, topology: Topology) -> Result<(), Error> {
        for port in &self.ports {
            let what = format!("the {topology} service of compose on {}", address(port));
            let ready = wait_ok(HEALTHY, &what, || {
                let mut conn = Conn::connect(&address(port), Duration::from_secs(1))?;
                match topology {
                    Topology::Standalone => conn.cmd(&["PING"]).map(|_| Some(())),
                    Topology::Cluster => is_healthy(&mut conn),
                }
            });
            ready.map_err(|e| Error::unusable(format!("{e}\n{}", self.logs()), "see the log above"))?;
        }
        Ok(())
    }

    fn logs(&self) -> String {
        let line = format!("{} logs --tail 20", self.words());
        let mut sh = std::process::Command::new("sh");
        run(sh.args(["-c", &line]), Duration::from_secs(20)).map(|o| o.stdout).unwrap_or_default()
    }

    /// `docker compose -p NAME -f FILE`, for a shell. With all profiles: without, the plugin's
    /// `down` leaves their services running.
    fn words(&self) -> String {
        let file = workspace().join("docker-compose.yml");
        let file = quoted(&file.display().to_string());
        format!(
            "env COMPOSE_PROFILES=valkey,postgres {} -p {} -f {file}",
            self.program.join(" "),
            self.project
        )
    }
}

fn ports(topology: Topology, first: Option<u16>) -> Result<Vec<Port>, Error> {
    let count = match topology {
        Topology::Standalone => 1,
        Topology::Cluster => CLUSTER_SIZE,
    };
    first.and_then(|first| Port::run_from(first, count)).map_or_else(|| Port::run(count), Ok)
}

fn address(port: &Port) -> String {
    format!("127.0.0.1:{}", port.number())
}
