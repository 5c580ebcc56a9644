//! A primary with replicas and three sentinels that watch them.

use std::time::Duration;

use super::group::Group;
use super::node::Role;
use super::ports::Port;
use super::replicated::{Replicated, with_role};
use super::resp::{Conn, Reply};
use super::standalone::spec;
use super::wait::wait_ok;
use super::{Error, Launcher, Node, Options};

/// The name under which the sentinels know the primary.
const SERVICE: &str = "mymaster";
/// Sentinels find each other by a message every two seconds.
const KNOWN: Duration = Duration::from_secs(30);

/// A primary, its replicas and three sentinels, gone when this is dropped.
#[derive(Debug)]
pub struct Sentinel {
    servers: Replicated,
    sentinels: Group,
    url: String,
}

impl Sentinel {
    /// Starts a primary, one replica and three sentinels with the default [`Options`].
    ///
    /// # Errors
    ///
    /// When a server does not start or the sentinels do not find each other in 30 s.
    pub fn start(launcher: &Launcher) -> Result<Self, Error> {
        Self::start_with(launcher, &Options::new())
    }

    /// Starts a primary, [`Options::replicas`] replicas and three sentinels.
    ///
    /// # Errors
    ///
    /// As [`Sentinel::start`].
    pub fn start_with(launcher: &Launcher, options: &Options) -> Result<Self, Error> {
        let servers = Replicated::start_with(launcher, options)?;
        let primary = servers.nodes()[0].port();
        let sentinels = Group::retried(|| watchers(launcher, options, primary))?;
        let mut addresses = sentinels.nodes.iter().map(Node::address);
        let mut url = format!(
            "redis-sentinel://{}{}?sentinelServiceName={SERVICE}",
            options.userinfo(),
            addresses.next().unwrap_or_default(),
        );
        addresses.for_each(|address| url.push_str(&format!("&node={address}")));
        let all = Self { servers, sentinels, url };
        all.wait_known(options.replica_count())?;
        Ok(all)
    }

    /// `redis-sentinel://host:port?sentinelServiceName=mymaster&node=host:port&node=host:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The data servers; the first started as the primary.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.servers.nodes()
    }

    /// The three sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Node] {
        &self.sentinels.nodes
    }

    /// The name under which the sentinels know the primary.
    #[must_use]
    pub fn service(&self) -> &'static str {
        SERVICE
    }

    /// The data server that is the primary now.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when none is.
    pub fn primary(&self) -> Result<&Node, Error> {
        with_role(self.nodes(), Role::Primary)
    }

    /// Asks a sentinel for a failover and waits until another server is the primary.
    ///
    /// # Errors
    ///
    /// When the sentinels refuse or it takes more than 30 s.
    pub fn failover(&self) -> Result<&Node, Error> {
        let old = self.primary()?.port();
        self.sentinels.nodes[0].conn()?.cmd(&["SENTINEL", "FAILOVER", SERVICE])?;
        self.wait_new_primary(old)
    }

    /// Waits until another server than the one on port `old` is the primary and all sentinels
    /// say so: what to do after killing the primary.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after 30 s.
    pub fn wait_new_primary(&self, old: u16) -> Result<&Node, Error> {
        wait_ok(KNOWN, "the sentinels to agree on a new primary", || {
            for sentinel in &self.sentinels.nodes {
                let reply = sentinel.conn()?.cmd(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])?;
                if reply.items().get(1).and_then(Reply::int) == Some(i64::from(old)) {
                    return Ok(None);
                }
            }
            self.primary().map(|new| (new.port() != old).then_some(new))
        })
    }

    fn wait_known(&self, replicas: usize) -> Result<(), Error> {
        for sentinel in &self.sentinels.nodes {
            let what = format!("the sentinel on {} to know all others", sentinel.address());
            wait_ok(KNOWN, &what, || {
                let known = knows(&mut sentinel.conn()?)?;
                Ok((known == (replicas, 2)).then_some(()))
            })?;
        }
        Ok(())
    }
}

/// Three sentinels. Each writes its state into its own file, so options cannot go on the line.
fn watchers(launcher: &Launcher, options: &Options, primary: u16) -> Result<Group, Error> {
    let mut specs = Vec::new();
    for index in 1..=3 {
        let mut one = spec(&format!("sentinel-{index}"), Port::any()?, &Options::new());
        let mut file = format!(
            "port {}\nbind 127.0.0.1\nprotected-mode no\n\
             sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {SERVICE} 1000\n\
             sentinel failover-timeout {SERVICE} 5000\n",
            one.port.number(),
        );
        if let Some(password) = options.secret() {
            file.push_str(&format!("sentinel auth-pass {SERVICE} {password}\n"));
        }
        one.files.push(("sentinel.conf".to_owned(), file));
        one.args = vec!["sentinel.conf".to_owned(), "--sentinel".to_owned()];
        specs.push(one);
    }
    Group::start(launcher, specs, None)
}

/// How many replicas and how many other sentinels a sentinel knows of.
fn knows(conn: &mut Conn) -> Result<(usize, usize), Error> {
    let replicas = conn.cmd(&["SENTINEL", "REPLICAS", SERVICE])?;
    let others = conn.cmd(&["SENTINEL", "SENTINELS", SERVICE])?;
    Ok((replicas.items().len(), others.items().len()))
}
