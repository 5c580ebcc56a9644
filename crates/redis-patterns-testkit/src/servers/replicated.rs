//! A primary with replicas, and nobody who watches them.

use std::time::Duration;

use super::group::Group;
use super::node::Role;
use super::ports::Port;
use super::resp::Conn;
use super::standalone::spec;
use super::wait::wait_ok;
use super::{Error, Launcher, Node, Options};

const LINKED: Duration = Duration::from_secs(30);

/// A primary and its replicas, gone when this is dropped.
#[derive(Debug)]
pub struct Replicated {
    pub(super) group: Group,
    userinfo: String,
}

impl Replicated {
    /// Starts a primary and one replica with the default [`Options`].
    ///
    /// # Errors
    ///
    /// When a server does not start or a replica does not link up in 30 s.
    pub fn start(launcher: &Launcher) -> Result<Self, Error> {
        Self::start_with(launcher, &Options::new())
    }

    /// Starts a primary and [`Options::replicas`] replicas.
    ///
    /// # Errors
    ///
    /// As [`Replicated::start`].
    pub fn start_with(launcher: &Launcher, options: &Options) -> Result<Self, Error> {
        Group::retried(|| {
            let mut specs = vec![spec("primary", Port::any()?, options)];
            let primary = specs[0].port.number().to_string();
            for index in 1..=options.replica_count() {
                let mut replica = spec(&format!("replica-{index}"), Port::any()?, options);
                let follow = ["--replicaof".to_owned(), "127.0.0.1".to_owned(), primary.clone()];
                replica.args.extend(follow);
                specs.push(replica);
            }
            let group = Group::start(launcher, specs, options.secret())?;
            let (primary, replicas) = (&group.nodes[0], &group.nodes[1..]);
            replicas.iter().try_for_each(|replica| wait_linked(primary, replica))?;
            Ok(Self { group, userinfo: options.userinfo() })
        })
    }

    /// `redis://127.0.0.1:port` of the present primary, or of the first node when none is up.
    #[must_use]
    pub fn url(&self) -> String {
        let node = self.primary().unwrap_or(&self.group.nodes[0]);
        format!("redis://{}{}", self.userinfo, node.address())
    }

    /// All servers; the first started as the primary.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.group.nodes
    }

    /// The server that is the primary now.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when none is.
    pub fn primary(&self) -> Result<&Node, Error> {
        with_role(&self.group.nodes, Role::Primary)
    }

    /// The first server that is a replica now.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when none is.
    pub fn replica(&self) -> Result<&Node, Error> {
        with_role(&self.group.nodes, Role::Replica)
    }

    /// Makes a replica the primary, as an operator would: nobody else does it here. The others
    /// that are up follow it. The old primary may be dead; if it lives it becomes a replica.
    ///
    /// # Errors
    ///
    /// When there is no replica or it does not obey.
    pub fn failover(&self) -> Result<&Node, Error> {
        let new = self.replica()?;
        new.conn()?.cmd(&["REPLICAOF", "NO", "ONE"])?;
        let port = new.port().to_string();
        for other in self.group.nodes.iter().filter(|node| node.port() != new.port()) {
            if let Ok(mut conn) = other.conn() {
                conn.cmd(&["REPLICAOF", "127.0.0.1", &port])?;
                wait_linked(new, other)?;
            }
        }
        Ok(new)
    }
}

/// The first node that has the role now.
pub(super) fn with_role(nodes: &[Node], role: Role) -> Result<&Node, Error> {
    nodes.iter().find(|node| node.role().is_ok_and(|now| now == role)).ok_or_else(|| {
        Error::unusable(
            format!("none of the {} servers is {role:?} now", nodes.len()),
            "wait for the failover with wait_until, or restart() a server",
        )
    })
}

/// Waits until a replica has all data and its primary says so too: the replica calls the link up
/// a moment before its primary is through with the first snapshot.
fn wait_linked(primary: &Node, replica: &Node) -> Result<(), Error> {
    let what = format!("the replica on {} to be linked to its primary", replica.address());
    let online = format!("port={},state=online", replica.port());
    wait_ok(LINKED, &what, || {
        let linked = is_linked(&mut replica.conn()?)?;
        let known = primary.conn()?.cmd(&["INFO", "replication"])?.text();
        Ok(linked.filter(|()| known.contains(&online)))
    })
}

pub(super) fn is_linked(conn: &mut Conn) -> Result<Option<()>, Error> {
    Ok((conn.info("replication", "master_link_status")? == "up").then_some(()))
}
