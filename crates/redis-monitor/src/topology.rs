//! Which servers there are.

use crate::info::Info;
use crate::node::Node;
use redis_patterns_core::{Args, Error};
use std::collections::BTreeSet;

/// Host and port.
pub(crate) type Place = (String, u16);

pub(crate) fn address((host, port): &Place) -> String {
    // The primary behind Sentinels has a name and no port.
    if *port == 0 { host.clone() } else { format!("{host}:{port}") }
}

/// The servers that one of them knows of: of a cluster all nodes, else itself and its replicas.
pub(crate) async fn known_to(node: &Node) -> Result<BTreeSet<Place>, Error> {
    let info: String = node.ask("INFO", &Args::new()).await?;
    let info = Info::parse(&info);
    let (host, port) = node.address.rsplit_once(':').unwrap_or((&node.address, "0"));
    if !info.is("cluster_enabled", "1") {
        let replicas = info.replicas().map(|replica| (replica.host.to_owned(), replica.port));
        return Ok(replicas.chain([(host.to_owned(), port.parse().unwrap_or(0))]).collect());
    }
    let nodes: String = node.ask("CLUSTER", &Args::new().word("NODES")).await?;
    Ok(nodes.lines().filter_map(|line| place_of(line, host)).collect())
}

/// Reads `id host:port@bus[,hostname] flags ..`; an empty host is that of the node that was asked.
fn place_of(line: &str, asked: &str) -> Option<Place> {
    let mut words = line.split(' ');
    let (_, place, flags) = (words.next()?, words.next()?, words.next()?);
    if flags.split(',').any(|flag| flag == "noaddr" || flag == "handshake") {
        return None;
    }
    let (host, port) = place.split('@').next()?.rsplit_once(':')?;
    let host = if host.is_empty() { asked } else { host };
    Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_without_an_address_are_left_out() {
        let read = |line| place_of(line, "me");
        assert_eq!(read("ab 10.0.0.1:7@17 master - 0 0 1 connected"), Some(("10.0.0.1".into(), 7)));
        assert_eq!(read("ab ::1:7@17,host myself,slave cd 0"), Some(("::1".into(), 7)));
        assert_eq!(read("ab :7@17 myself,master -"), Some(("me".into(), 7)));
        assert_eq!(read("ab :0@0 master,fail,noaddr -"), None);
        assert_eq!(read(""), None);
    }
}
