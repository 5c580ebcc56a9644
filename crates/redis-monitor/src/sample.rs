//! Everything that is read of one server at one moment.

use crate::info::Info;
use crate::node::Node;
use crate::rights::{self, Rights};
use crate::slow::{self, SlowShape};
use redis_patterns_core::{Args, Error, Namespace, ServerInfo, Value};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The most entries of the slow log that are read: the server's own default length.
const SLOW_ENTRIES: i64 = 128;

/// The answers of one server. `None` stands for what it does not let us ask.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) address: String,
    pub(crate) clock: ServerClock,
    pub(crate) info: Info,
    pub(crate) version: Option<ServerInfo>,
    pub(crate) settings: Option<HashMap<String, String>>,
    pub(crate) slow: Option<BTreeMap<String, SlowShape>>,
    pub(crate) spikes: Option<Vec<Spike>>,
    pub(crate) cluster: Option<Info>,
    pub(crate) rights: Option<Rights>,
}

/// What the server's clock said, between two readings of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerClock {
    /// Since the epoch.
    pub(crate) time: Duration,
    /// The middle of the round trip.
    pub(crate) at: Instant,
    /// Half of the round trip: how wrong `at` may be.
    pub(crate) blur: Duration,
}

/// One kind of event in the server's latency monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spike {
    pub(crate) event: String,
    /// How long ago the newest was.
    pub(crate) ago_s: u64,
    pub(crate) newest_ms: u64,
}

impl Sample {
    /// Reads one server; an error only if it does not answer `INFO` or `TIME`.
    pub(crate) async fn take(node: &Node, namespace: &Namespace) -> Result<Self, Error> {
        let clock = read_clock(node).await?;
        let text: String = node.ask("INFO", &Args::new()).await?;
        let info = Info::parse(&text);
        let clustered = info.is("cluster_enabled", "1");
        Ok(Self {
            address: node.address.clone(),
            clock,
            version: ServerInfo::parse(&text),
            info,
            settings: settings(node).await,
            slow: slow_commands(node, clock.time.as_secs()).await,
            spikes: spikes(node, clock.time.as_secs()).await,
            cluster: if clustered { cluster(node).await } else { None },
            rights: rights::ask(node, namespace).await.ok(),
        })
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    pub(crate) fn is_replica(&self) -> bool {
        self.info.is("role", "slave")
    }

    /// How much a counter grew since `before`; `None` after a restart, which sets it back.
    pub(crate) fn growth(&self, before: &Self, name: &str) -> Option<f64> {
        let grown = self.info.number(name)? - before.info.number(name)?;
        let same_run = self.info.text("run_id") == before.info.text("run_id");
        (same_run && grown >= 0.0).then_some(grown)
    }

    /// The seconds since `before`.
    pub(crate) fn since(&self, before: &Self) -> f64 {
        self.clock.at.saturating_duration_since(before.clock.at).as_secs_f64()
    }
}

async fn read_clock(node: &Node) -> Result<ServerClock, Error> {
    let started = Instant::now();
    let (seconds, micros): (u64, u32) = node.ask("TIME", &Args::new()).await?;
    let blur = started.elapsed() / 2;
    Ok(ServerClock { time: Duration::new(seconds, micros * 1_000), at: started + blur, blur })
}

async fn settings(node: &Node) -> Option<HashMap<String, String>> {
    let args = Args::new().word("GET").word("save").word("appendfsync").word("slowlog-log-slower-than");
    let pairs: Vec<String> = node.ask("CONFIG", &args).await.ok()?;
    let (pairs, _) = pairs.as_chunks::<2>();
    Some(pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect())
}

async fn slow_commands(node: &Node, now_s: u64) -> Option<BTreeMap<String, SlowShape>> {
    let args = Args::new().word("GET").int(SLOW_ENTRIES);
    let entries: Vec<Value> = node.ask("SLOWLOG", &args).await.ok()?;
    Some(slow::shapes(&entries, now_s))
}

async fn spikes(node: &Node, now_s: u64) -> Option<Vec<Spike>> {
    let events: Vec<Vec<Value>> = node.ask("LATENCY", &Args::new().word("LATEST")).await.ok()?;
    let read = |event: Vec<Value>| match event.as_slice() {
        [Value::Bytes(name), Value::Int(at_s), Value::Int(newest_ms), ..] => Some(Spike {
            event: String::from_utf8_lossy(name).into_owned(),
            ago_s: now_s.saturating_sub(u64::try_from(*at_s).ok()?),
            newest_ms: u64::try_from(*newest_ms).ok()?,
        }),
        _ => None,
    };
    Some(events.into_iter().filter_map(read).collect())
}

async fn cluster(node: &Node) -> Option<Info> {
    let text: String = node.ask("CLUSTER", &Args::new().word("INFO")).await.ok()?;
    Some(Info::parse(&text))
}
