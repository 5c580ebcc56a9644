//! One cell from its start to its verdict.

use crate::check::{self, Scene};
use crate::client::Context;
use crate::clock::WallClock;
use crate::controls;
use crate::nemesis::{self, Done};
use crate::oracle::{Fences, Oracle};
use crate::orders::Orders;
use crate::pattern::Pattern;
use crate::report::{Calls, Report};
use crate::ring::{Cell, Ring};
use crate::servers::Servers;
use crate::stage::Stage;
use crate::work;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::faults::history::{History, Operation, now_ns, operations};
use redis_patterns_testkit::harness::own;
use redis_patterns_testkit::servers::{Options, Standalone, Topology};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After the last fault the load goes on so long: what was broken has time to show.
const AFTERWARDS: Duration = Duration::from_millis(600);
/// For a queue to become empty, the leases of the dead included.
const DRAINS: u32 = 400;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What all cells of a run share.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) ring: Ring,
    pub(crate) dose: nemesis::Dose,
    pub(crate) seed: u64,
    pub(crate) dir: PathBuf,
}

impl Run {
    /// Runs a cell; a history is kept if its verdict is a bad one.
    pub(crate) async fn cell(&self, cell: &Cell, cluster: &mut Option<Servers>) -> Report {
        let (seed, begun) = (cell.seed(self.seed), Instant::now());
        let dir = self.dir.join(cell.name().split_whitespace().collect::<Vec<_>>().join("-"));
        let report = Box::pin(self.play(cell, seed, &dir, cluster)).await;
        let seconds = begun.elapsed().as_secs_f64();
        match report {
            Ok(report) => Report { seconds, ..report },
            Err(error) => {
                // Whatever is wrong with it, the next cell gets another.
                *cluster = None;
                Report::failed(cell, seed, format!("{error}; see {}", dir.display()), seconds)
            }
        }
    }

    async fn play(
        &self,
        cell: &Cell,
        seed: u64,
        dir: &Path,
        cluster: &mut Option<Servers>,
    ) -> Outcome<Report> {
        let _ = std::fs::remove_dir_all(dir);
        std::fs::create_dir_all(dir)?;
        let mut stage = self.stage(cell, seed, dir, cluster).await?;
        let roles = primaries(&stage.servers).await?;
        let fences =
            if cell.control.is_some_and(|c| c.number == 6) { Fences::Ignored } else { Fences::Checked };
        let oracle = Oracle::start(fences).await?;
        stage.orders.oracle = oracle.address();
        stage.people().await?;
        let begun = now_ns();
        tokio::time::sleep(self.ring.warm()).await;
        let done = match nemesis::run(&mut stage, cell.fault, self.dose).await {
            // A control may break the very tool that breaks it.
            Err(_) if cell.control.is_some() => Done { strikes: 1, ..Done::default() },
            done => done?,
        };
        let ops = finish(&mut stage, cell).await?;
        let (calls, done) = (Calls::of(&ops, begun), evidence(cell, &ops, done));
        if !cell.fault.fails_over() && primaries(&stage.servers).await? != roles && cell.control.is_none() {
            return Err("a failover happened that nobody asked for: the machine is overloaded".into());
        }
        let found = self.findings(cell, &stage, &oracle, &ops).await?;
        let server = stage.servers.server_version().await;
        let report = Report { server, ..Report::failed(cell, seed, String::new(), 0.0) };
        let report = report.judged(cell, self.ring, done, calls, &found);
        drop(stage);
        let keep = !matches!(
            report.verdict,
            crate::report::Verdict::Holds | crate::report::Verdict::Loss | crate::report::Verdict::Caught
        );
        if keep {
            let rules: Vec<String> =
                found.rules.iter().map(|(rule, broken)| format!("{rule} {broken:?}\n")).collect();
            std::fs::write(dir.join("findings.txt"), rules.concat())?;
        } else {
            std::fs::remove_dir_all(dir)?;
        }
        if cell.control.is_some_and(|control| control.number == 13) {
            *cluster = None;
        }
        Ok(report)
    }

    async fn findings(
        &self,
        cell: &Cell,
        stage: &Stage,
        oracle: &Oracle,
        ops: &[Operation],
    ) -> Outcome<check::Findings> {
        // A queue's keys stay until their jobs are done; its docs say so.
        let all = format!("{}:*", stage.orders.namespace);
        let immortal = if cell.pattern == Pattern::Queue { 0 } else { stage.servers.immortal(&all).await? };
        let mut uneven = 0;
        if cell.control.is_some_and(|control| control.number == 13) {
            uneven = controls::ratelimit::uneven(&direct(stage).await?).await;
        }
        let (orders, seen) = (&stage.orders, oracle.seen());
        let crashed = stage.crashed;
        Ok(check::check(&Scene { orders, fault: cell.fault, ops, seen, immortal, crashed, uneven }))
    }

    async fn stage(
        &self,
        cell: &Cell,
        seed: u64,
        dir: &Path,
        cluster: &mut Option<Servers>,
    ) -> Outcome<Stage> {
        let clock = if matches!(cell.fault.0, 16 | 17) { Some(WallClock::new(dir)?) } else { None };
        let servers = match cell.topology {
            Topology::Standalone => standalone(cell.fault.0, clock.as_ref(), dir).await?,
            Topology::Cluster => shared_cluster(cluster).await?,
        };
        let history = History::append_to(&dir.join("history.jsonl"))?;
        let proxy =
            if matches!(cell.fault.0, 3 | 4) { Some(Proxy::start(servers.url()).await?) } else { None };
        let orders = Orders {
            pattern: cell.pattern,
            // The sixth is a resource that checks no fence; the lock is ours.
            control: cell.control.map(|control| control.number).filter(|number| *number != 6),
            url: proxy.as_ref().map_or_else(|| servers.url().to_owned(), Proxy::url),
            namespace: format!("chaos-{seed:016x}"),
            history: dir.join("history.jsonl"),
            oracle: String::new(),
            seed,
            number: 0,
            deadline_ms: if cell.topology == Topology::Cluster { 1_000 } else { 500 },
            hostile: cell.fault.0 == 18,
            dropping: cell.fault.0 == 5,
            replicas: cell.fault.0 == 12,
        };
        let mut stage = Stage::new(servers, orders, history, seed);
        stage.proxy = proxy;
        stage.clock = clock;
        Ok(stage)
    }
}

async fn standalone(fault: u8, clock: Option<&WallClock>, dir: &Path) -> Outcome<Servers> {
    let options = match fault {
        8 | 9 => Options::new().append_only(),
        15 => Options::new().set("enable-protected-configs", "yes").set("save", "86400 1000000000"),
        _ => Options::new(),
    };
    let (17, Some(clock)) = (fault, clock) else {
        return Ok(Servers::One(Arc::new(own::standalone(options).await)));
    };
    let launcher = clock.launcher(&own::launcher()?, dir)?;
    let server = tokio::task::spawn_blocking(move || Standalone::start_with(&launcher, &options)).await??;
    Ok(Servers::One(Arc::new(server)))
}

/// One cluster for the cells of a lane, whole again before each.
async fn shared_cluster(cluster: &mut Option<Servers>) -> Outcome<Servers> {
    let servers = match cluster.take() {
        Some(servers) => servers,
        None => Servers::Cluster(Arc::new(own::cluster(Options::new()).await)),
    };
    servers.wait_healthy().await?;
    for address in servers.primaries().await? {
        crate::servers::ask(&address, &["FLUSHALL"]).await?;
    }
    *cluster = Some(servers.clone());
    Ok(servers)
}

async fn primaries(servers: &Servers) -> Outcome<Vec<String>> {
    let mut addresses = servers.primaries().await?;
    addresses.sort_unstable();
    Ok(addresses)
}

/// A context beside the proxy and the workers, for the last reads.
async fn direct(stage: &Stage) -> Outcome<Context> {
    let url = stage.servers.url().to_owned();
    let orders = Orders { url, number: 0, deadline_ms: 5_000, dropping: false, ..stage.orders.clone() };
    Ok(Context::connect(orders, stage.history.clone()).await?)
}

/// Heals, drains, stops the workers and reads what is there; answers the whole history.
async fn finish(stage: &mut Stage, cell: &Cell) -> Outcome<Vec<Operation>> {
    if let Some(proxy) = &stage.proxy {
        proxy.heal();
    }
    stage.servers.wait_healthy().await?;
    tokio::time::sleep(AFTERWARDS).await;
    let ctx = direct(stage).await?;
    stage.tell("quiet").await;
    if cell.pattern == Pattern::Queue {
        drain(stage, &ctx).await?;
    }
    stage.dismiss().await;
    let left = check::left(cell.pattern, &operations(&stage.history.events()?));
    work::final_read(&ctx, &left).await?;
    ctx.redis.close().await;
    Ok(operations(&stage.history.events()?))
}

async fn drain(stage: &Stage, ctx: &Context) -> Outcome<()> {
    let held = format!("{}:*processing.*", stage.orders.namespace);
    for _ in 0..DRAINS {
        if work::drained(ctx).await && stage.servers.keys(&held, 1).await?.is_empty() {
            ctx.client(1).note("left", "0");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Faults that the workers do to themselves are counted in the history.
fn evidence(cell: &Cell, ops: &[Operation], done: Done) -> Done {
    match cell.fault.0 {
        5 => Done { evidence: ops.iter().filter(|op| op.output == "dropped").count() as u64, ..done },
        _ => done,
    }
}
