//! Servers that live and end together.

use std::path::PathBuf;
use std::sync::Arc;

use super::guardian::Guardian;
use super::launcher::Spec;
use super::node::{Node, Process};
use super::{Error, Launcher, paths};

/// Dropping it ends the servers and removes their folder.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) nodes: Vec<Node>,
    guardian: Arc<Guardian>,
}

/// What `up` has to write down to be able to end a group later.
#[derive(Debug)]
pub(super) struct Kept {
    /// Holds the servers' files and the clean-up script.
    pub(super) dir: PathBuf,
    /// Processes to kill.
    pub(super) pids: Vec<u32>,
}

impl Group {
    /// Starts all servers at once and waits until each answers.
    pub(super) fn start(
        launcher: &Launcher,
        specs: Vec<Spec>,
        password: Option<&str>,
    ) -> Result<Self, Error> {
        let guardian = Arc::new(Guardian::new()?);
        let unique = format!("redis-patterns-{}", paths::unique());
        let containers: Vec<String> = specs.iter().map(|spec| format!("{unique}-{}", spec.name)).collect();
        if matches!(launcher, Launcher::Docker { .. }) {
            guardian.set_cleanup(&format!("docker rm -fv {}\n", containers.join(" ")))?;
        }
        let mut nodes = Vec::new();
        let mut jobs = Vec::new();
        for (spec, container) in specs.into_iter().zip(containers) {
            let dir = guardian.dir().join(&spec.name);
            paths::create(&dir)?;
            for (name, text) in &spec.files {
                paths::write(&dir.join(name), text)?;
            }
            paths::write(&dir.join("start"), &launcher.script(&spec, &dir, &container))?;
            let (script, log) = (format!("{}/start", spec.name), format!("{}/log", spec.name));
            let process = match launcher {
                Launcher::Native { .. } => Process::Native { pid: guardian.spawn(&script, &log)?.into() },
                Launcher::Docker { .. } => {
                    jobs.push(guardian.job(&script, &log)?);
                    Process::Docker { container }
                }
            };
            nodes.push(Node {
                name: spec.name,
                port: spec.port,
                _more_ports: spec.more_ports,
                password: password.map(str::to_owned),
                process,
                guardian: Arc::clone(&guardian),
            });
        }
        let group = Self { nodes, guardian };
        group.join(&jobs)?;
        group.nodes.iter().try_for_each(Node::wait_ready)?;
        Ok(group)
    }

    /// Runs `start` again with other ports when another run was faster.
    pub(super) fn retried<T>(mut start: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        for _ in 0..3 {
            match start() {
                Err(error) if error.is_port_taken() => {}
                other => return other,
            }
        }
        start()
    }

    #[cfg(feature = "tls")]
    pub(super) fn dir(&self) -> &std::path::Path {
        self.guardian.dir()
    }

    /// Lets the servers outlive this process.
    pub(super) fn keep(self) -> Result<Kept, Error> {
        let mut kept = Kept { dir: self.guardian.dir().to_owned(), pids: vec![] };
        for node in self.nodes {
            // Containers are ended by the clean-up script in the folder.
            if matches!(node.process, Process::Native { .. }) {
                kept.pids.push(node.pid()?);
            }
        }
        // The nodes are gone, so this is the last reference.
        match Arc::into_inner(self.guardian) {
            Some(guardian) => guardian.release()?,
            None => return Err(Error::unusable("a node is still in use", "drop it before keep()")),
        }
        Ok(kept)
    }

    fn join(&self, jobs: &[u32]) -> Result<(), Error> {
        for (job, node) in jobs.iter().zip(&self.nodes) {
            if self.guardian.join(*job)? != 0 {
                let log = self.guardian.dir().join(node.log());
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(Error::unusable(
                    format!("docker run failed for {}: {}", node.name, said.trim()),
                    "see what Docker says above, or use --backend native",
                ));
            }
        }
        Ok(())
    }
}
