//! Three primaries with a replica each, made without any tool besides the server.

use std::time::Duration;

use super::group::{Group, Kept};
use super::node::Role;
use super::ports::Port;
use super::replicated::is_linked;
use super::resp::{Conn, Reply, field_of};
use super::standalone::spec;
use super::wait::wait_ok;
use super::{Error, Launcher, Node, Options};

const PRIMARIES: usize = 3;
/// The slots of each primary, first and last.
const SLOTS: [(u16, u16); PRIMARIES] = [(0, 5460), (5461, 10922), (10923, 16383)];
/// Six servers meet within two or three seconds; a loaded machine may take far longer.
const FORMED: Duration = Duration::from_secs(60);

/// Six servers, gone when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    group: Group,
    url: String,
}

impl Cluster {
    /// Starts a cluster with the default [`Options`].
    ///
    /// # Errors
    ///
    /// When a server does not start or the cluster is not whole after 60 s.
    pub fn start(launcher: &Launcher) -> Result<Self, Error> {
        Self::start_with(launcher, &Options::new())
    }

    /// Starts a cluster. Failovers take about three seconds: its node timeout is two.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub fn start_with(launcher: &Launcher, options: &Options) -> Result<Self, Error> {
        let group = Group::retried(|| servers(launcher, options))?;
        form(&group.nodes)?;
        let url = url(&options.userinfo(), group.nodes.iter().map(Node::address));
        let cluster = Self { group, url };
        cluster.wait_healthy()?;
        Ok(cluster)
    }

    /// `redis-cluster://host:port?node=host:port&…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All six servers; the first three started as primaries.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.group.nodes
    }

    /// The servers that are primaries now.
    #[must_use]
    pub fn primaries(&self) -> Vec<&Node> {
        let nodes = self.group.nodes.iter();
        nodes.filter(|node| node.role().is_ok_and(|role| role == Role::Primary)).collect()
    }

    /// The server that owns a slot now, as most primaries see it.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when no server is up that owns it.
    pub fn primary_of(&self, slot: u16) -> Result<&Node, Error> {
        let what = format!("slot {slot} to have a live owner");
        wait_ok(Duration::from_secs(10), &what, || Ok(self.shard_of(slot)?.map(|shard| shard.0)))
    }

    /// A replica of the server that owns a slot now.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when there is none.
    pub fn replica_of(&self, slot: u16) -> Result<&Node, Error> {
        let what = format!("slot {slot} to have a live replica");
        wait_ok(Duration::from_secs(10), &what, || Ok(self.shard_of(slot)?.and_then(|s| s.1)))
    }

    /// Hands a slot's range to a replica without losing a write, and waits until it is done.
    ///
    /// # Errors
    ///
    /// When there is no replica or it takes more than 60 s.
    pub fn failover(&self, slot: u16) -> Result<&Node, Error> {
        let new = self.replica_of(slot)?;
        // A server gives a hand-over up after five seconds if the votes do not come in (they wait
        // after a failover shortly before), so it is asked for again.
        wait_ok(FORMED, "the replica to be handed the slots", || {
            if new.role()? != Role::Primary {
                // Refused while an earlier one is under way; what counts is the role.
                let _ = new.conn()?.cmd(&["CLUSTER", "FAILOVER"]);
                let _ = new.wait_role(Role::Primary, Duration::from_secs(6));
            }
            Ok((new.role()? == Role::Primary).then_some(()))
        })?;
        self.wait_owner(slot, new)?;
        Ok(new)
    }

    /// Waits until another server than `old` owns the slot: what to do after killing `old`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after 60 s.
    pub fn wait_new_primary(&self, slot: u16, old: &Node) -> Result<&Node, Error> {
        let what = format!("a replica to take slot {slot} from {}", old.address());
        let new = wait_ok(FORMED, &what, || {
            let owner = self.shard_of(slot)?.map(|shard| shard.0);
            Ok(owner.filter(|owner| owner.port() != old.port()))
        })?;
        self.wait_owner(slot, new)?;
        Ok(new)
    }

    /// Waits until every server says that the cluster is whole and every replica is linked.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after 60 s.
    pub fn wait_healthy(&self) -> Result<(), Error> {
        for node in &self.group.nodes {
            let what = format!("the cluster to be whole, as {} sees it", node.address());
            wait_ok(FORMED, &what, || is_healthy(&mut node.conn()?))?;
        }
        Ok(())
    }

    pub(super) fn keep(self) -> Result<Kept, Error> {
        self.group.keep()
    }

    /// Waits until every server that is up sends clients to `owner` and takes commands.
    fn wait_owner(&self, slot: u16, owner: &Node) -> Result<(), Error> {
        for node in self.group.nodes.iter().filter(|node| node.is_up()) {
            let what = format!("{} to know the owner of slot {slot}", node.address());
            wait_ok(FORMED, &what, || {
                let mut conn = node.conn()?;
                let ok = state_is_ok(&mut conn)?;
                let shards = conn.cmd(&["CLUSTER", "SLOTS"])?;
                let ports = shards.items().iter().find_map(|shard| ports_of(shard, slot));
                let knows = ports.is_some_and(|ports| ports.first() == Some(&owner.port()));
                Ok((ok && knows).then_some(()))
            })?;
        }
        Ok(())
    }

    /// The owner of a slot and one replica of it, of those that live, as a live server knows them.
    fn shard_of(&self, slot: u16) -> Result<Option<(&Node, Option<&Node>)>, Error> {
        let live: Vec<&Node> = self.group.nodes.iter().filter(|node| node.is_up()).collect();
        for node in &live {
            let reply = node.conn()?.cmd(&["CLUSTER", "SLOTS"])?;
            let Some(ports) = reply.items().iter().find_map(|shard| ports_of(shard, slot)) else {
                continue;
            };
            let at = |port: &u16| live.iter().copied().find(|node| node.port() == *port);
            // A server that does not know of the failover yet names a dead owner: ask the next.
            if let Some(owner) = ports.first().and_then(at)
                && owner.role()? == Role::Primary
            {
                return Ok(Some((owner, ports[1..].iter().find_map(at))));
            }
        }
        Ok(None)
    }
}

/// The URL for the addresses of a cluster's servers.
pub(super) fn url(userinfo: &str, mut addresses: impl Iterator<Item = String>) -> String {
    let first = addresses.next().unwrap_or_default();
    let nodes: Vec<String> = addresses.map(|address| format!("node={address}")).collect();
    format!("redis-cluster://{userinfo}{first}?{}", nodes.join("&"))
}

fn servers(launcher: &Launcher, options: &Options) -> Result<Group, Error> {
    let count = u16::try_from(PRIMARIES * 2).unwrap_or_default();
    let preferred = options.first_port().and_then(|first| Port::run_from(first, count));
    let ports = preferred.map_or_else(|| Port::run(count), Ok)?;
    let mut specs = Vec::new();
    for (index, port) in ports.into_iter().enumerate() {
        let mut one = spec(&format!("node-{}", index + 1), port, options);
        let bus = Port::any()?;
        let cluster = [
            ("--cluster-enabled", "yes".to_owned()),
            ("--cluster-config-file", "nodes.conf".to_owned()),
            ("--cluster-node-timeout", "2000".to_owned()),
            ("--cluster-port", bus.number().to_string()),
        ];
        one.args.extend(cluster.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        one.more_ports.push(bus);
        specs.push(one);
    }
    Group::start(launcher, specs, options.secret())
}

/// Makes one cluster of six servers that know nothing of each other.
fn form(nodes: &[Node]) -> Result<(), Error> {
    let mut conns = nodes.iter().map(Node::conn).collect::<Result<Vec<_>, _>>()?;
    for (index, (conn, (first, last))) in conns.iter_mut().zip(SLOTS).enumerate() {
        // Epochs of their own: without them the primaries would first have to sort out who is who.
        conn.cmd(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
        conn.cmd(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
    }
    let buses = conns.iter_mut().map(bus_port).collect::<Result<Vec<_>, _>>()?;
    // Everybody meets everybody: waiting for gossip would take a second or two more.
    for (index, conn) in conns.iter_mut().enumerate() {
        for (other, bus) in nodes.iter().zip(&buses).skip(index + 1) {
            conn.cmd(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus])?;
        }
    }
    let ids = conns
        .iter_mut()
        .map(|conn| conn.cmd(&["CLUSTER", "MYID"]).map(|id| id.text()))
        .collect::<Result<Vec<_>, _>>()?;
    for (index, replica) in conns.iter_mut().enumerate().skip(PRIMARIES) {
        let primary = &ids[index - PRIMARIES];
        wait_ok(FORMED, "the replicas to know their primaries", || {
            replica.cmd(&["CLUSTER", "REPLICATE", primary]).map(Some)
        })?;
    }
    Ok(())
}

fn bus_port(conn: &mut Conn) -> Result<String, Error> {
    let reply = conn.cmd(&["CONFIG", "GET", "cluster-port"])?;
    Ok(reply.items().get(1).map(Reply::text).unwrap_or_default())
}

fn state_is_ok(conn: &mut Conn) -> Result<bool, Error> {
    let info = conn.cmd(&["CLUSTER", "INFO"])?.text();
    Ok(field_of(&info, "cluster_state") == Some("ok") && field_of(&info, "cluster_slots_ok") == Some("16384"))
}

/// Whether this server sees all slots served and six servers, and follows its primary if it has
/// to. A primary must see its replica online too.
pub(super) fn is_healthy(conn: &mut Conn) -> Result<Option<()>, Error> {
    let info = conn.cmd(&["CLUSTER", "INFO"])?.text();
    let six = field_of(&info, "cluster_known_nodes") == Some("6");
    if !(six && state_is_ok(conn)?) {
        return Ok(None);
    }
    if conn.info("replication", "role")? == "slave" {
        return is_linked(conn);
    }
    Ok(conn.info("replication", "slave0")?.contains("state=online").then_some(()))
}

/// The ports of a shard of CLUSTER SLOTS, the owner's first, if it holds the slot.
fn ports_of(shard: &Reply, slot: u16) -> Option<Vec<u16>> {
    let [first, last, servers @ ..] = shard.items() else { return None };
    let held = first.int()? <= i64::from(slot) && i64::from(slot) <= last.int()?;
    let port = |server: &Reply| u16::try_from(server.items().get(1)?.int()?).ok();
    held.then(|| servers.iter().filter_map(port).collect())
}
