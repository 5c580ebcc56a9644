//! A bounded look at the keys of the namespace.

use crate::node::Node;
use crate::options::DoctorOptions;
use crate::report::{Counted, Finding, Severity};
use crate::signal::{BIG_KEY, KEY_WITHOUT_TTL};
use redis_patterns_core::{Args, Error};
use std::collections::{BTreeMap, BTreeSet};

const STEP: u32 = 100;
/// The most keys of one server whose TTL and size are asked: two commands each.
const LOOKED_AT: usize = 50;
/// The kind of the keys of `redis-idem`.
const RECORDS: &str = "idempotency records";
const BIG_BYTES: u64 = 10_000_000;
/// Patterns whose keys have no TTL, as their crates' docs say.
const WITHOUT_TTL: [&str; 2] = ["q", "fenced"];

/// What the samples of all primaries found together.
#[derive(Debug, Default)]
pub(crate) struct Keyspace {
    counted: BTreeMap<&'static str, Counted>,
    pub(crate) findings: Vec<Finding>,
    /// The tags of the queues among the keys.
    pub(crate) queues: BTreeSet<String>,
    /// The tags of the locks that are held.
    pub(crate) locks: BTreeSet<String>,
}

impl Keyspace {
    pub(crate) fn into_counted(self) -> Vec<Counted> {
        let queues = self.queues.len() as u64;
        let queues = Counted { kind: "queues", sampled: queues, estimated: queues };
        self.counted.into_values().chain((queues.sampled > 0).then_some(queues)).collect()
    }

    /// Adds one primary: at most [`DoctorOptions::sampled_keys`] keys looked through, 50 looked at.
    pub(crate) async fn add(&mut self, node: &Node, options: &DoctorOptions) -> Result<(), Error> {
        let prefix = format!("{}:", options.namespace.as_str());
        let (keys, share) = scan(node, &prefix, options.keys.div_ceil(STEP)).await?;
        let names: Vec<_> =
            keys.iter().filter_map(|key| Some((key, Name::parse(key.strip_prefix(&prefix)?)?))).collect();
        let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (_, name) in &names {
            match (name.pattern, name.part) {
                ("q", _) => drop(self.queues.insert(name.tag.to_owned())),
                ("lock", None) => drop(self.locks.insert(name.tag.to_owned())),
                _ => {}
            }
            if let Some(kind) = name.kind() {
                *kinds.entry(kind).or_default() += 1;
            }
        }
        let records = kinds.get(RECORDS).copied().unwrap_or(0);
        for (kind, sampled) in kinds {
            self.count(kind, sampled, share);
        }
        let states = states(node, names.iter().filter(|(_, name)| name.kind() == Some(RECORDS))).await?;
        let looked_at: u64 = states.values().sum();
        for (kind, sampled) in states {
            self.count(kind, sampled, share * ratio(records, looked_at));
        }
        for (key, name) in names.into_iter().take(LOOKED_AT) {
            self.look_at(node, key, &name).await?;
        }
        Ok(())
    }

    fn count(&mut self, kind: &'static str, sampled: u64, share: f64) {
        let counted = self.counted.entry(kind).or_insert(Counted { kind, sampled: 0, estimated: 0 });
        counted.sampled += sampled;
        counted.estimated += scaled(sampled, share);
    }

    async fn look_at(&mut self, node: &Node, key: &str, name: &Name<'_>) -> Result<(), Error> {
        let mut find = |signal, measured| {
            self.findings.push(Finding::new(Severity::Warning, signal, &node.address, measured));
        };
        if !WITHOUT_TTL.contains(&name.pattern) {
            let ttl_s: i64 = node.ask("TTL", &Args::new().bytes(key)).await?;
            if ttl_s == -1 {
                find(&KEY_WITHOUT_TTL, key.to_owned());
            }
        }
        // Five elements of a list or hash are measured, and the others taken to be like them.
        let args = Args::new().word("USAGE").bytes(key).word("SAMPLES").int(5);
        let bytes: Option<u64> = node.ask("MEMORY", &args).await?;
        if let Some(bytes) = bytes.filter(|bytes| *bytes >= BIG_BYTES) {
            find(&BIG_KEY, format!("{key}: {} MB", bytes / 1_000_000));
        }
        Ok(())
    }
}

/// How many of the first of these records are in each state. The state is one byte of the record,
/// so one byte is what is asked for.
async fn states<'a>(
    node: &Node,
    records: impl Iterator<Item = &'a (&'a String, Name<'a>)>,
) -> Result<BTreeMap<&'static str, u64>, Error> {
    let mut states = BTreeMap::new();
    for (key, _) in records.take(LOOKED_AT) {
        let state: String = node.ask("GETRANGE", &Args::new().bytes(key).int(3).int(3)).await?;
        let kind = match state.as_str() {
            "P" => "idempotency records pending",
            "I" => "idempotency records in doubt",
            "D" => "idempotency records done",
            _ => continue,
        };
        *states.entry(kind).or_default() += 1;
    }
    Ok(states)
}

/// Keys with the prefix, and by how much the sample has to be multiplied to speak of all.
async fn scan(node: &Node, prefix: &str, steps: u32) -> Result<(BTreeSet<String>, f64), Error> {
    let size: u32 = node.ask("DBSIZE", &Args::new()).await?;
    let mut keys = BTreeSet::new();
    let mut cursor = "0".to_owned();
    for _ in 0..steps {
        let args = Args::new().bytes(&cursor).word("MATCH").bytes(format!("{prefix}*"));
        let args = args.word("COUNT").int(STEP.into());
        let (next, found): (String, Vec<String>) = node.ask("SCAN", &args).await?;
        keys.extend(found);
        cursor = next;
        if cursor == "0" {
            return Ok((keys, 1.0));
        }
    }
    Ok((keys, (f64::from(size) / f64::from(steps * STEP)).max(1.0)))
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn ratio(all: u64, some: u64) -> f64 {
    all as f64 / some.max(1) as f64
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
fn scaled(sampled: u64, share: f64) -> u64 {
    (sampled as f64 * share).round() as u64
}

/// A key without its namespace: `pattern:{tag}:part`.
struct Name<'a> {
    pattern: &'a str,
    tag: &'a str,
    part: Option<&'a str>,
}

impl<'a> Name<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (pattern, rest) = text.split_once(":{")?;
        let (tag, part) = rest.split_once('}')?;
        Some(Self { pattern, tag, part: part.strip_prefix(':') })
    }

    /// What one key of this name stands for, if it stands for one thing.
    fn kind(&self) -> Option<&'static str> {
        Some(match (self.pattern, self.part) {
            ("lock", None) => "locks held",
            ("semaphore", None) => "semaphores held",
            ("rwlock", None) => "read-write locks held",
            ("lock" | "semaphore" | "rwlock", Some("q")) => "locks waited for",
            ("idem", None) => RECORDS,
            ("sess", Some("index")) => "users with sessions",
            ("sess", Some(_)) => "sessions",
            ("otk", None) => "one-time tokens",
            ("otc", None) => "one-time codes",
            ("rl-block", _) => "subjects blocked by a limit",
            (limit, Some(_)) if limit == "rl" || limit.starts_with("rl-") => "rate limit counters",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_kind() {
        let kind = |text| Name::parse(text).and_then(|name| name.kind());
        assert_eq!(kind("lock:{a}"), Some("locks held"));
        assert_eq!(kind("lock:{a}:f"), None);
        assert_eq!(kind("sess:{a}:index"), Some("users with sessions"));
        assert_eq!(kind("sess:{a}:0f"), Some("sessions"));
        assert_eq!(kind("rl-bucket:{a}:login"), Some("rate limit counters"));
        assert_eq!(kind("other"), None);
    }
}
