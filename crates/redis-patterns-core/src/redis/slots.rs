//! Which node of a cluster serves which slot.

use crate::reply::Value;
use fred::types::config::Server;
use std::collections::{BTreeMap, HashSet};

/// The slots of a cluster as one node sees them, and what redirections said since.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotMap {
    /// First slot, last slot, primary; in order of slots.
    ranges: Vec<(u16, u16, Server)>,
    moved: BTreeMap<u16, Server>,
}

impl SlotMap {
    /// Reads the answer of `CLUSTER SLOTS` given by `asked`; `None` if it is no such answer or
    /// names no slot. Each entry is `[first, last, [host, port, id, ..], replicas..]`.
    pub(super) fn parse(reply: &Value, asked: &Server) -> Option<Self> {
        let Value::Array(entries) = reply else { return None };
        let mut ranges = entries.iter().map(|entry| range(entry, asked)).collect::<Option<Vec<_>>>()?;
        ranges.sort_by_key(|(first, _, _)| *first);
        (!ranges.is_empty()).then_some(Self { ranges, moved: BTreeMap::new() })
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Server> {
        if let Some(server) = self.moved.get(&slot) {
            return Some(server);
        }
        let after = self.ranges.partition_point(|(first, _, _)| *first <= slot);
        let (_, last, server) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(server)
    }

    /// Believes a redirection until the map is read again.
    pub(super) fn learn(&mut self, slot: u16, server: Server) {
        self.moved.insert(slot, server);
    }

    pub(super) fn primaries(&self) -> HashSet<Server> {
        self.ranges.iter().map(|(_, _, server)| server).chain(self.moved.values()).cloned().collect()
    }
}

fn range(entry: &Value, asked: &Server) -> Option<(u16, u16, Server)> {
    let Value::Array(fields) = entry else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = fields.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
    let host = match host {
        // The node does not know its own name: it is the one that was asked.
        Value::Nil => asked.host.to_string(),
        Value::Bytes(name) if name.is_empty() || name == "?" => asked.host.to_string(),
        Value::Bytes(name) => std::str::from_utf8(name).ok()?.to_owned(),
        Value::Int(_) | Value::Array(_) => return None,
    };
    Some(((*first).try_into().ok()?, (*last).try_into().ok()?, Server::new(host, (*port).try_into().ok()?)))
}

/// Where a node sends the client instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// The slot has moved for good.
    Moved(Server),
    /// The slot is moving and this key has gone ahead: ask there, this once.
    Ask(Server),
}

impl Redirect {
    /// Reads `MOVED 3999 127.0.0.1:6381` or `ASK 3999 127.0.0.1:6381`; an empty host is that of
    /// the node that was `asked`.
    pub(super) fn parse(details: &str, asked: &Server) -> Option<Self> {
        let words: Vec<_> = details.split_whitespace().collect();
        // More words mean a script that met the redirection half way: it must not run again.
        let [kind, _, address] = words[..] else { return None };
        let (host, port) = address.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { asked.host.to_string() } else { host.to_owned() };
        let server = Server::new(host, port.parse().ok()?);
        match kind {
            "MOVED" => Some(Self::Moved(server)),
            "ASK" => Some(Self::Ask(server)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Server {
        Server::new("10.0.0.1", 7000)
    }

    fn entry(first: i64, last: i64, host: Value, port: i64) -> Value {
        Value::Array(vec![Value::Int(first), Value::Int(last), Value::Array(vec![host, Value::Int(port)])])
    }

    #[test]
    fn a_slot_belongs_to_the_range_around_it() {
        let reply = Value::Array(vec![
            entry(8_192, 16_383, Value::Bytes("b".into()), 7_002),
            entry(0, 8_000, Value::Nil, 7_001),
        ]);
        let mut map = SlotMap::parse(&reply, &asked()).unwrap();
        assert_eq!(map.owner(0), Some(&Server::new("10.0.0.1", 7_001)));
        assert_eq!(map.owner(8_000).unwrap().port, 7_001);
        assert_eq!(map.owner(8_001), None);
        assert_eq!(map.owner(16_383).unwrap().port, 7_002);
        map.learn(8_001, Server::new("c", 7_003));
        assert_eq!(map.owner(8_001).unwrap().port, 7_003);
        assert_eq!(map.primaries().len(), 3);
    }

    #[test]
    fn redirections_are_read_with_and_without_a_host() {
        assert_eq!(Redirect::parse("MOVED 1 h:7", &asked()), Some(Redirect::Moved(Server::new("h", 7))));
        assert_eq!(Redirect::parse("ASK 1 :7", &asked()), Some(Redirect::Ask(Server::new("10.0.0.1", 7))));
        assert_eq!(Redirect::parse("MOVED 1 ::1:7", &asked()), Some(Redirect::Moved(Server::new("::1", 7))));
        assert_eq!(Redirect::parse("ERR no", &asked()), None);
        assert_eq!(Redirect::parse("MOVED 1 h:7 script: 0a1b, on @user_script:3.", &asked()), None);
    }
}
