//! Servers that run already and are named by a URL: looked at before a test relies on them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::launcher::check_floor;
use super::resp::{Conn, Reply, field_of};
use super::{Error, Topology};

const CONNECT: Duration = Duration::from_secs(3);
const NEXT: &str = "start that server, correct the URL, or leave it out to have one started";

/// The parts of a URL that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    scheme: String,
    username: Option<String>,
    password: Option<String>,
    address: String,
}

/// Connects and logs in to the first host of a Redis URL. TLS is not spoken here.
///
/// # Errors
///
/// [`Error::Unusable`] with the next step: nothing answers, it is no Redis, the password is wrong.
pub fn connect(url: &str) -> Result<Conn, Error> {
    let parts = parts(url)?;
    let shown = without_password(url);
    let mut conn = Conn::connect(&parts.address, CONNECT)
        .map_err(|e| Error::unusable(format!("nothing answers at {shown} ({e})"), NEXT))?;
    if let Some(password) = &parts.password {
        conn.auth(parts.username.as_deref(), password).map_err(|e| wrong(&shown, &e))?;
    }
    conn.cmd(&["PING"]).map_err(|e| wrong(&shown, &e))?;
    Ok(conn)
}

/// A connection to each server that takes writes: the one of a `redis://` URL, or every primary
/// of a cluster.
///
/// # Errors
///
/// As [`connect`].
pub fn primaries(url: &str) -> Result<Vec<Conn>, Error> {
    let mut first = connect(url)?;
    if topology_of(url)? == Topology::Standalone {
        return Ok(vec![first]);
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
    let userinfo = rest.rsplit_once('@').map(|(userinfo, _)| format!("{userinfo}@"));
    let shards = first.cmd(&["CLUSTER", "SLOTS"])?;
    let addresses: BTreeSet<String> = shards.items().iter().filter_map(owner).collect();
    let urls = addresses.iter().map(|a| format!("{scheme}://{}{a}", userinfo.as_deref().unwrap_or("")));
    urls.map(|url| connect(&url)).collect()
}

/// The address of the primary in a shard of CLUSTER SLOTS.
fn owner(shard: &Reply) -> Option<String> {
    let [_, _, primary, ..] = shard.items() else { return None };
    let [host, port, ..] = primary.items() else { return None };
    Some(format!("{}:{}", host.text(), port.text()))
}

/// Checks that a server answers, is new enough and is what the topology needs; describes it.
pub(super) fn check(url: &str, topology: Topology) -> Result<String, Error> {
    let shown = without_password(url);
    if topology_of(url)? != topology {
        return Err(Error::unusable(
            format!("{shown} is not the URL of a {topology} server"),
            "redis:// names one server, redis-cluster:// a cluster",
        ));
    }
    if parts(url)?.scheme.starts_with("rediss") {
        return Ok(format!("server at {shown} (TLS: not looked at, not ours to stop)"));
    }
    let mut conn = connect(url)?;
    let info = conn.cmd(&["INFO", "server"]).map_err(|e| wrong(&shown, &e))?.text();
    let version = field_of(&info, "redis_version").unwrap_or_default();
    check_floor(version).map_err(|why| Error::unusable(format!("{shown} {why}"), NEXT))?;
    let clustered = conn.info("cluster", "cluster_enabled")? == "1";
    if clustered != (topology == Topology::Cluster) {
        let is = if clustered { "a cluster's server" } else { "no cluster's server" };
        return Err(Error::unusable(
            format!("{shown} is {is}, and {topology} was asked for"),
            "use redis-cluster:// for a cluster and redis:// for a single server",
        ));
    }
    Ok(format!("{} at {shown} (not ours to stop)", name_in(&info)))
}

/// Which topology a URL's scheme says.
pub(super) fn topology_of(url: &str) -> Result<Topology, Error> {
    let scheme = parts(url)?.scheme;
    Ok(if scheme.ends_with("-cluster") { Topology::Cluster } else { Topology::Standalone })
}

/// `redis 7.0.15` or `valkey 9.1.2`.
pub(super) fn name_of(conn: &mut Conn) -> Result<String, Error> {
    Ok(name_in(&conn.cmd(&["INFO", "server"])?.text()))
}

fn name_in(info: &str) -> String {
    match field_of(info, "valkey_version") {
        Some(version) => format!("valkey {version}"),
        None => format!("redis {}", field_of(info, "redis_version").unwrap_or("?")),
    }
}

/// The URL as it may be printed.
pub(super) fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => url.to_owned(),
    }
}

fn wrong(shown: &str, error: &Error) -> Error {
    match error.server_code() {
        Some("NOAUTH") => Error::unusable(
            format!("{shown} asks for a password"),
            "put it into the URL: redis://:PASSWORD@host:port",
        ),
        Some("WRONGPASS" | "ERR") => Error::unusable(
            format!("{shown} refuses the user or password ({error})"),
            "correct them in the URL: redis://USER:PASSWORD@host:port",
        ),
        _ => Error::unusable(format!("{shown} is of no use ({error})"), NEXT),
    }
}

fn parts(url: &str) -> Result<Parts, Error> {
    let wrong = || {
        Error::unusable(
            format!("{:?} is no Redis URL", without_password(url)),
            "write redis://host:port, rediss://host:port or redis-cluster://host:port",
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let known = ["redis", "rediss", "valkey", "valkeys"];
    let base = scheme.strip_suffix("-cluster").or(scheme.strip_suffix("-sentinel"));
    if !known.contains(&base.unwrap_or(scheme)) {
        return Err(wrong());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (userinfo, host) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    let (username, password) = match userinfo.map(|info| info.split_once(':').unwrap_or(("", info))) {
        Some((name, password)) => (Some(decoded(name)), Some(decoded(password))),
        None => (None, None),
    };
    let address = match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() => {
            port.parse::<u16>().map_err(|_| wrong())?;
            host.to_owned()
        }
        None if !host.is_empty() => format!("{host}:6379"),
        _ => return Err(wrong()),
    };
    let username = username.filter(|name| !name.is_empty());
    Ok(Parts { scheme: scheme.to_owned(), username, password, address })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let found = parts("redis://me:p%40ss@example.test:7000/0?x=y").unwrap();
        assert_eq!(found.username.as_deref(), Some("me"));
        assert_eq!(found.password.as_deref(), Some("p@ss"));
        assert_eq!(found.address, "example.test:7000");
        assert_eq!(parts("redis://host").unwrap().address, "host:6379");
        assert!(parts("redis-cluster://:p@h:1?node=h:2").unwrap().username.is_none());
        for bad in ["host:6379", "http://host", "redis://", "redis://host:port", "redis://:1"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(without_password("redis://u:secret@h:1"), "redis://***@h:1");
        let error = parts("http://u:secret@h").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
