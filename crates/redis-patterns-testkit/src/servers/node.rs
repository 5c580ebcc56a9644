//! One server process of a group, and the control over it.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::command::run;
use super::guardian::Guardian;
use super::ports::Port;
use super::resp::{ANSWER, Conn};
use super::wait::{wait_ok, wait_until};
use super::{Error, docker};

/// How long a server may take to answer its first PING, on a loaded machine, with data to load.
const READY: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(1);
/// A stopped server still accepts connections: it is found out by its silence.
const LIVELY: Duration = Duration::from_secs(1);
/// Docker is asked about a container this many looks apart: each question takes a while.
const LOOKS: u32 = 50;

/// What a server is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows a primary.
    Replica,
    /// Watches the others.
    Sentinel,
}

/// One server process.
#[derive(Debug)]
pub struct Node {
    pub(super) name: String,
    pub(super) port: Port,
    pub(super) _more_ports: Vec<Port>,
    pub(super) password: Option<String>,
    pub(super) process: Process,
    pub(super) guardian: Arc<Guardian>,
}

/// Where the process lives.
#[derive(Debug)]
pub(super) enum Process {
    Native { pid: Mutex<u32> },
    Docker { container: String },
}

impl Node {
    /// Its name within the group, such as `primary` or `node-3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// A connection for set-up and questions, logged in.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the server does not answer.
    pub fn conn(&self) -> Result<Conn, Error> {
        self.conn_with(ANSWER)
    }

    fn conn_with(&self, answer: Duration) -> Result<Conn, Error> {
        let mut conn = Conn::connect(&self.address(), CONNECT)?;
        conn.set_timeout(answer)?;
        if let Some(password) = &self.password {
            conn.auth(None, password)?;
        }
        Ok(conn)
    }

    /// What it is now: this changes with a failover.
    ///
    /// # Errors
    ///
    /// As [`Node::conn`].
    pub fn role(&self) -> Result<Role, Error> {
        let reply = self.conn_with(LIVELY)?.cmd(&["ROLE"])?;
        Ok(match reply.items().first().map(super::resp::Reply::text).as_deref() {
            Some("slave") => Role::Replica,
            Some("sentinel") => Role::Sentinel,
            _ => Role::Primary,
        })
    }

    /// Whether it answers PING within a second.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.conn_with(LIVELY).and_then(|mut conn| conn.cmd(&["PING"])).is_ok()
    }

    /// Its process id on this machine.
    ///
    /// # Errors
    ///
    /// When Docker does not know the container's.
    pub fn pid(&self) -> Result<u32, Error> {
        match &self.process {
            Process::Native { pid } => Ok(*pid.lock().unwrap_or_else(PoisonError::into_inner)),
            Process::Docker { container } => docker::pid(container),
        }
    }

    /// Ends it with SIGKILL; it is gone when this returns. Its files stay for [`Node::restart`].
    ///
    /// # Errors
    ///
    /// When the guardian or Docker does not do it.
    pub fn kill(&self) -> Result<(), Error> {
        match &self.process {
            Process::Native { .. } => self.guardian.end(self.pid()?),
            Process::Docker { container } => docker_do(&["kill", container]),
        }
    }

    /// Freezes it with SIGSTOP: connections stay open and nothing answers.
    ///
    /// # Errors
    ///
    /// As [`Node::kill`].
    pub fn stop(&self) -> Result<(), Error> {
        match &self.process {
            Process::Native { .. } => self.guardian.signal("STOP", self.pid()?),
            Process::Docker { container } => docker_do(&["pause", container]),
        }
    }

    /// Lets a stopped one go on.
    ///
    /// # Errors
    ///
    /// As [`Node::kill`].
    pub fn cont(&self) -> Result<(), Error> {
        match &self.process {
            Process::Native { .. } => self.guardian.signal("CONT", self.pid()?),
            Process::Docker { container } => docker_do(&["unpause", container]),
        }
    }

    /// Starts it again after [`Node::kill`], on the same port with the same files, and waits until
    /// it answers. One that still runs is killed first.
    ///
    /// # Errors
    ///
    /// When it does not come up in 30 s.
    pub fn restart(&self) -> Result<(), Error> {
        match &self.process {
            Process::Native { pid } => {
                self.guardian.end(self.pid()?)?;
                let new = self.guardian.spawn(&self.script(), &self.log())?;
                *pid.lock().unwrap_or_else(PoisonError::into_inner) = new;
            }
            Process::Docker { container } => docker_do(&["restart", "-t", "0", container])?,
        }
        self.wait_ready()
    }

    /// Waits until the server answers PING and has loaded its data.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after 30 s; at once when its log says why it cannot start.
    pub fn wait_ready(&self) -> Result<(), Error> {
        let what = format!("{} on {} to answer PING", self.name, self.address());
        let mut look = 0;
        wait_ok(READY, &what, || {
            look += 1;
            self.check_alive(look)?;
            self.conn()?.cmd(&["PING"]).map(Some)
        })
        .map(drop)
    }

    /// Waits until this node has the role.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after `deadline`.
    pub fn wait_role(&self, role: Role, deadline: Duration) -> Result<(), Error> {
        let what = format!("{} on {} to be {role:?}", self.name, self.address());
        wait_until(deadline, &what, || self.role().is_ok_and(|now| now == role))
    }

    /// The end of what the server wrote to its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = match &self.process {
            Process::Docker { container } => docker::logs(container),
            Process::Native { .. } => {
                std::fs::read_to_string(self.guardian.dir().join(self.log())).unwrap_or_default()
            }
        };
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    pub(super) fn script(&self) -> String {
        format!("{}/start", self.name)
    }

    pub(super) fn log(&self) -> String {
        format!("{}/log", self.name)
    }

    /// A server that cannot start says why in its log: no need to wait for the deadline.
    fn check_alive(&self, look: u32) -> Result<(), Error> {
        if let Process::Docker { container } = &self.process
            && (!look.is_multiple_of(LOOKS) || docker::is_running(container))
        {
            return Ok(());
        }
        let log = self.log_tail();
        if log.contains("Failed listening on port") || log.contains("Address already in use") {
            let taken = std::io::ErrorKind::AddrInUse.into();
            return Err(Error::io(format!("port {} was taken by another", self.port()), taken));
        }
        let fatal = ["FATAL CONFIG", "Fatal error", "error while loading shared libraries"];
        let is_docker = matches!(self.process, Process::Docker { .. });
        if is_docker || fatal.iter().any(|sign| log.contains(sign)) {
            return Err(Error::unusable(
                format!("the server {} did not start; its log ends:\n{log}", self.name),
                "look for a wrong option in the log above",
            ));
        }
        Ok(())
    }
}

fn docker_do(args: &[&str]) -> Result<(), Error> {
    let output = run(Command::new("docker").args(args), Duration::from_secs(30))?;
    output.ok(&format!("docker {}", args.join(" "))).map(drop)
}
