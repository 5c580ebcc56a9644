//! The handle: connects to every server and examines them.

use crate::judge::{Case, Samples, across};
use crate::keyspace::Keyspace;
use crate::node::{Node, Sent};
use crate::options::DoctorOptions;
use crate::report::{Cost, Finding, Report, Server, Severity};
use crate::sample::Sample;
use crate::signal::{REPLICA_ENDPOINT, UNREACHABLE};
use crate::topology::{self, Place, address};
use crate::vitals;
use redis_patterns_core::{Args, Error, Redis, RedisBuilder};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::task::JoinSet;

/// How the one node of a Sentinel group is called whose address only the Sentinels know.
const SENTINEL_PRIMARY: &str = "the primary that the Sentinels name";

/// Examines the servers of one deployment: a server with its replicas, or all nodes of a cluster.
///
/// It sends only commands whose cost is bounded, and none that writes. Each examination compares
/// with the one before; the first takes two samples.
///
/// # Cost
///
/// About ten commands to each server and sample, one `SCAN` for each 100 sampled keys, two commands
/// for each of up to 50 keys, and one for each queue. [`Report::cost`] has the count.
pub struct Doctor {
    builder: RedisBuilder,
    options: DoctorOptions,
    /// The servers that the URL names.
    seeds: Vec<Place>,
    nodes: BTreeMap<String, Node>,
    /// Servers that could not be connected to, and why.
    lost: BTreeMap<String, String>,
    before: Samples,
    sent: Sent,
    /// A handle as the patterns use it.
    #[cfg(any(feature = "lock", feature = "queue"))]
    whole: Option<Redis>,
}

impl Doctor {
    /// Connects to the first server of the URL that answers. Replicas and other nodes are found by
    /// asking it.
    ///
    /// # Errors
    ///
    /// As [`RedisBuilder::connect`], within the [deadline](DoctorOptions::deadline) for each server
    /// of the URL, but for [`ServerTooOld`](redis_patterns_core::ErrorKind::ServerTooOld), which is a finding.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(url: &str, options: DoctorOptions) -> Result<Self, Error> {
        let builder = Redis::builder(url)
            .namespace(options.namespace.clone())
            .connect_deadline(options.deadline)
            .command_deadline(options.deadline);
        let mut doctor = Self {
            seeds: builder.servers()?,
            builder,
            options,
            nodes: BTreeMap::new(),
            lost: BTreeMap::new(),
            before: Samples::new(),
            sent: Sent::default(),
            #[cfg(any(feature = "lock", feature = "queue"))]
            whole: None,
        };
        if url.split("://").next().is_some_and(|scheme| scheme.ends_with("-sentinel")) {
            doctor.seeds.clear();
            let redis = doctor.builder.clone().connect().await?;
            doctor.keep(SENTINEL_PRIMARY.to_owned(), redis);
        } else {
            doctor.connect_first().await?;
        }
        Ok(doctor)
    }

    async fn connect_first(&mut self) -> Result<(), Error> {
        let mut first_error = None;
        for place in self.seeds.clone() {
            let connected = async {
                let redis = self.builder.clone().connect_node(&place.0, place.1).await?;
                // A connection without its password is made and answers nothing.
                redis.keyless::<()>("PING", &Args::new()).await.map(|()| redis)
            };
            match connected.await {
                Ok(redis) => {
                    self.keep(address(&place), redis);
                    return Ok(());
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn keep(&mut self, address: String, redis: Redis) {
        let node = Node { address: address.clone(), redis, sent: self.sent.clone() };
        self.nodes.insert(address, node);
    }

    /// Examines every server. Never fails: a server that does not answer is a finding.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is written anywhere.
    pub async fn examine(&mut self) -> Report {
        let started = Instant::now();
        self.find_servers().await;
        if self.before.is_empty() {
            self.before = self.sample().await;
            tokio::time::sleep(self.options.interval).await;
        }
        let now = self.sample().await;
        let mut findings = self.judge(&now);
        let mut keyspace = self.look_at_keys(&now).await;
        findings.append(&mut keyspace.findings);
        #[cfg(feature = "queue")]
        let queues = {
            let (queues, mut found) = self.look_at_queues(&keyspace).await;
            findings.append(&mut found);
            queues
        };
        #[cfg(feature = "lock")]
        let locks = {
            let (locks, mut found) = self.look_at_locks(&keyspace).await;
            findings.append(&mut found);
            locks
        };
        // Stable, so that servers stay in order within a severity.
        findings.sort_by_key(|finding| Reverse(finding.severity));
        let servers = self.servers(&now);
        self.before = now;
        Report {
            servers,
            findings,
            keys: keyspace.into_counted(),
            #[cfg(feature = "queue")]
            queues,
            #[cfg(feature = "lock")]
            locks,
            cost: Cost { commands: self.sent.take(), took: started.elapsed() },
        }
    }

    /// Connects to servers that joined, and forgets those that left.
    async fn find_servers(&mut self) {
        let mut places: BTreeSet<Place> = BTreeSet::new();
        for node in self.nodes.values() {
            if let Ok(known) = topology::known_to(node).await {
                places = known;
                break;
            }
        }
        let known: BTreeSet<String> = places.iter().map(address).collect();
        if !known.is_empty() {
            self.nodes.retain(|address, _| known.contains(address));
        }
        self.lost.clear();
        let mut connecting = JoinSet::new();
        for place in places.into_iter().filter(|place| !self.nodes.contains_key(&address(place))) {
            let builder = self.builder.clone();
            connecting.spawn(async move {
                let connected = builder.connect_node(&place.0, place.1).await;
                (address(&place), connected)
            });
        }
        while let Some(Ok((address, connected))) = connecting.join_next().await {
            match connected {
                Ok(redis) => self.keep(address, redis),
                Err(error) => drop(self.lost.insert(address, error.to_string())),
            }
        }
    }

    /// Samples every server at once; those that do not answer are lost.
    async fn sample(&mut self) -> Samples {
        let mut asked = JoinSet::new();
        for node in self.nodes.values().cloned() {
            let namespace = self.options.namespace.clone();
            asked.spawn(async move {
                let sample = Sample::take(&node, &namespace).await;
                (node.address, sample)
            });
        }
        let mut samples = Samples::new();
        while let Some(Ok((address, sample))) = asked.join_next().await {
            match sample {
                Ok(sample) => drop(samples.insert(address, sample)),
                Err(error) => drop(self.lost.insert(address, error.to_string())),
            }
        }
        samples
    }

    fn judge(&self, now: &Samples) -> Vec<Finding> {
        let lost = self.lost.iter().filter(|(address, _)| !now.contains_key(*address));
        let mut findings: Vec<Finding> =
            lost.map(|(address, why)| Finding::new(Severity::Critical, &UNREACHABLE, address, why)).collect();
        for (address, sample) in now {
            findings.extend(Case::judge(sample, self.before.get(address), &self.options));
            let named = self.seeds.iter().any(|seed| topology::address(seed) == *address);
            if named && sample.is_replica() && sample.cluster.is_none() {
                let measured = "role:slave";
                findings.push(Finding::new(Severity::Critical, &REPLICA_ENDPOINT, address, measured));
            }
        }
        findings.extend(across(&self.before, now));
        findings
    }

    async fn look_at_keys(&self, now: &Samples) -> Keyspace {
        let mut keyspace = Keyspace::default();
        for sample in now.values().filter(|sample| !sample.is_replica()) {
            if let Some(node) = self.nodes.get(&sample.address)
                && let Err(error) = keyspace.add(node, &self.options).await
            {
                let found =
                    Finding::new(Severity::Note, &crate::signal::NOT_TOLD, &node.address, error.to_string());
                keyspace.findings.push(found);
            }
        }
        keyspace
    }

    fn servers(&self, now: &Samples) -> Vec<Server> {
        let addresses: BTreeSet<&String> = now.keys().chain(self.lost.keys()).collect();
        let server = |address: &String| {
            let sample = now.get(address);
            let text =
                |field: &str| sample.and_then(|sample| sample.info.text(field)).unwrap_or("").to_owned();
            Server {
                address: address.clone(),
                up: sample.is_some(),
                role: text("role"),
                version: sample.and_then(|s| s.version.as_ref()).map(ToString::to_string).unwrap_or_default(),
                vitals: sample.map(vitals::of).unwrap_or_default(),
            }
        };
        addresses.into_iter().map(server).collect()
    }

    #[cfg(feature = "queue")]
    async fn look_at_queues(&mut self, keys: &Keyspace) -> (Vec<crate::report::QueueFacts>, Vec<Finding>) {
        let found = keys.queues.iter().filter_map(|tag| crate::tag::name_of(tag));
        let names: BTreeSet<String> = found.chain(self.options.queues.iter().cloned()).collect();
        match self.whole_for(&names).await {
            Some(redis) => crate::queues::look(&redis, &names, &self.sent).await,
            None => Default::default(),
        }
    }

    #[cfg(feature = "lock")]
    async fn look_at_locks(&mut self, keys: &Keyspace) -> (Vec<crate::report::LockFacts>, Vec<Finding>) {
        let names: BTreeSet<String> = keys.locks.iter().filter_map(|tag| crate::tag::name_of(tag)).collect();
        match self.whole_for(&names).await {
            Some(redis) => crate::locks::look(&redis, &names, &self.sent).await,
            None => Default::default(),
        }
    }

    /// The handle for questions about these names, made once there are any.
    #[cfg(any(feature = "lock", feature = "queue"))]
    async fn whole_for(&mut self, names: &BTreeSet<String>) -> Option<Redis> {
        if self.whole.is_none() && !names.is_empty() {
            // What stands against it is a finding of its server already.
            self.whole = self.builder.clone().connect().await.ok();
        }
        self.whole.clone()
    }

    /// Ends all connections.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub async fn close(&mut self) {
        for node in self.nodes.values() {
            node.redis.close().await;
        }
        #[cfg(any(feature = "lock", feature = "queue"))]
        if let Some(redis) = &self.whole {
            redis.close().await;
        }
    }
}

impl std::fmt::Debug for Doctor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doctor")
            .field("servers", &self.nodes.keys())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
