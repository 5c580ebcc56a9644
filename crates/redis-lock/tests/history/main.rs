//! Workers that are killed, stopped and cut off while Redis fails over and forgets its scripts: each
//! records what it asked for and what came of it, and a checker judges the whole.

#![allow(clippy::unwrap_used)]

mod checker;
mod worker;

use checker::{Verdict, check};
use redis_patterns_core::Tag;
use redis_patterns_testkit::faults::history::{self, History, Kind, Operation, operations};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{self, redis::Failover};
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::servers::{Cluster, Options};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use worker::NAME;

const PATIENCE: Duration = Duration::from_secs(30);

/// The process that takes locks.
#[test]
fn worker() {
    if !process::is_worker("worker") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(worker::work(lines));
}

/// Workers, their history, and what is done to them.
struct Fleet {
    environment: Vec<(&'static str, String)>,
    path: PathBuf,
    history: History,
    workers: Vec<Worker>,
    started: u64,
}

impl Fleet {
    async fn start(t: &TestRedis, data: &str, broken: &str, workers: usize) -> Self {
        let namespace = t.redis.namespace().as_str().to_owned();
        let path = std::env::temp_dir().join(format!("lock-history-{namespace}"));
        let environment = vec![
            ("LOCK_URL", t.url().to_owned()),
            ("LOCK_NAMESPACE", namespace),
            ("DATA_URL", data.to_owned()),
            ("HISTORY", path.to_str().unwrap().to_owned()),
            ("BROKEN", broken.to_owned()),
        ];
        let history = History::append_to(&path).unwrap();
        let mut fleet = Self { environment, path, history, workers: Vec::new(), started: 0 };
        for _ in 0..workers {
            let worker = fleet.spawn().await;
            fleet.workers.push(worker);
        }
        fleet
    }

    async fn spawn(&mut self) -> Worker {
        self.started += 1;
        let number = self.started.to_string();
        let mut environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        environment.push(("PROCESS", &number));
        let mut worker = Worker::spawn_self_test("worker", &environment).unwrap();
        assert_eq!(worker.next_line(PATIENCE).await.unwrap(), "ready");
        worker
    }

    fn operations(&self) -> Vec<Operation> {
        operations(&history::read(&self.path).unwrap())
    }

    /// Waits for so many more mutexes to be granted.
    async fn goes_on(&self, more: usize) {
        let granted = || {
            let all = self.operations();
            all.iter().filter(|o| o.outcome == Kind::Ok && o.input.starts_with("mutex ")).count()
        };
        let goal = granted() + more;
        eventually("locks are granted", async || granted() >= goal).await;
    }

    /// Makes a worker wait in the middle of its next hold.
    async fn hold(&mut self, worker: usize) {
        self.workers[worker].send_line("pause").await.unwrap();
        assert_eq!(self.workers[worker].next_line(PATIENCE).await.unwrap(), "holding");
    }

    /// kill -9 in the middle of a hold; another takes its place.
    async fn kill_holder(&mut self, worker: usize) {
        self.hold(worker).await;
        self.workers[worker].kill().await.unwrap();
        self.workers[worker] = self.spawn().await;
        self.goes_on(10).await;
    }

    /// SIGSTOP in the middle of a hold until others have had the lock, then on with what it had read.
    async fn stop_holder(&mut self, worker: usize, number: u64) {
        self.hold(worker).await;
        let stop = self.history.invoke(0, "stop", &number.to_string());
        self.workers[worker].stop().unwrap();
        self.goes_on(10).await;
        self.workers[worker].send_line("go").await.unwrap();
        self.workers[worker].cont().unwrap();
        stop.ok("");
        self.goes_on(10).await;
    }

    async fn finish(mut self) -> Vec<Operation> {
        for worker in &mut self.workers {
            worker.send_line("stop").await.unwrap();
        }
        for worker in &mut self.workers {
            assert_eq!(worker.next_line(PATIENCE).await.unwrap(), "closed");
        }
        let operations = self.operations();
        std::fs::remove_file(&self.path).unwrap();
        operations
    }
}

async fn stored(t: &TestRedis, data: &str) -> BTreeSet<String> {
    let redis = worker::connect(data, t.redis.namespace().as_str()).await;
    let list = worker::store(redis).read(NAME).await.unwrap().unwrap();
    String::from_utf8(list).unwrap().split_terminator(',').map(str::to_owned).collect()
}

/// A replica takes over without asking its primary: what it had not yet received is lost.
async fn fail_over(cluster: &Cluster, slot: u16) {
    let replica = cluster.replica_of(slot).unwrap().address();
    faults::redis::cluster_failover(&replica, Failover::Takeover).await.unwrap();
    cluster.wait_healthy().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_invariant_holds_through_faults() {
    let cluster = own::cluster(Options::new()).await;
    let data = own::standalone(Options::new()).await;
    let t = TestRedis::at(cluster.url()).await;
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.address()).collect();
    let mut fleet = Fleet::start(&t, data.url(), "0", 4).await;
    fleet.goes_on(30).await;
    fleet.kill_holder(0).await;
    fleet.stop_holder(1, 2).await;
    faults::redis::script_flush(&primaries(&cluster)).await.unwrap();
    fleet.goes_on(10).await;
    let cut = faults::redis::client_kill_normal(&nodes).await.unwrap();
    assert!(cut > 0, "no connection was cut");
    fleet.goes_on(10).await;
    let slot = t.redis.namespace().key("lock", &Tag::of(NAME)).slot();
    for _ in 0..2 {
        fleet.hold(2).await;
        let call = fleet.history.invoke(0, "failover", "");
        fail_over(&cluster, slot).await;
        call.ok("");
        fleet.workers[2].send_line("go").await.unwrap();
        fleet.goes_on(10).await;
    }
    fleet.kill_holder(3).await;
    fleet.stop_holder(2, 3).await;

    let operations = fleet.finish().await;
    let left = t.keys().await.iter().filter(|key| !key.ends_with(":f")).count();
    let verdict = check(&operations, &stored(&t, data.url()).await, left);
    println!("{verdict}");
    assert_eq!(verdict.broken(), 0, "{verdict:#?}");
    assert!(verdict.refused >= 2, "no late holder was refused: the faults did nothing");
    assert!(verdict.grants > 100 && verdict.writes > 50, "too little was done to prove anything");
}

fn primaries(cluster: &Cluster) -> Vec<String> {
    cluster.primaries().iter().map(|node| node.address()).collect()
}

/// The same workers on a lock that has neither token nor fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_without_token_and_fence_is_convicted() {
    let server = own::standalone(Options::new()).await;
    let data = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let mut fleet = Fleet::start(&t, data.url(), "1", 3).await;
    fleet.goes_on(20).await;
    fleet.stop_holder(0, 1).await;
    fleet.stop_holder(1, 2).await;
    let operations = fleet.finish().await;
    let verdict = check(&operations, &stored(&t, data.url()).await, 0);
    println!("{verdict}");
    assert!(verdict.i2_fences > 0 && verdict.i9_lost > 0, "{verdict:#?}");
}

/// Each rule on a history of a few lines that breaks it and no other.
#[test]
fn the_checker_convicts_each_fault_alone() {
    let op = |process: u64, op: &str, input: &str, output: &str, (invoked_ns, returned_ns): (u64, u64)| {
        let (op, input, output) = (op.to_owned(), input.to_owned(), output.to_owned());
        Operation { process, op, input, outcome: Kind::Ok, output, invoked_ns, returned_ns }
    };
    let items = |all: &[&str]| all.iter().map(|item| (*item).to_owned()).collect::<BTreeSet<_>>();
    let grant = |process, kind: &str, id: &str, fence_until: &str, at| {
        op(process, "acquire", &format!("{kind} {id}"), fence_until, at)
    };
    let judge = |operations: &[Operation], stored: &[&str], left| check(operations, &items(stored), left);
    let one = grant(1, "mutex", "a", "5 100", (1, 10));

    let verdict = judge(&[one.clone(), grant(2, "mutex", "b", "6 200", (20, 30))], &[], 0);
    assert_eq!((verdict.i1_overlaps, verdict.broken()), (1, 1));
    let release = op(1, "release", "a", "", (15, 16));
    let verdict = judge(&[one.clone(), release.clone(), grant(2, "mutex", "b", "6 200", (20, 30))], &[], 0);
    assert_eq!(verdict.broken(), 0);
    let failover = op(0, "failover", "", "", (12, 13));
    let verdict = judge(&[one.clone(), failover, grant(2, "mutex", "b", "6 200", (20, 30))], &[], 0);
    assert_eq!(verdict.broken(), 0, "Redis may forget in a failover");

    let verdict = judge(&[one.clone(), grant(2, "mutex", "b", "5 200", (101, 102))], &[], 0);
    assert_eq!((verdict.i2_fences, verdict.broken()), (1, 1));

    let late = op(1, "write", "a 5 x lost 50", "", (50, 51));
    let newer = op(2, "write", "b 6 y held 40", "", (40, 41));
    let two = [one.clone(), release, grant(2, "mutex", "b", "6 200", (20, 30)), late];
    let verdict = judge(&[&two[..], &[newer]].concat(), &["x", "y"], 0);
    assert_eq!((verdict.i3_stale_writes, verdict.broken()), (1, 1));
    let seal = op(2, "seal", "b 6", "", (31, 32));
    let verdict = judge(&[&two[..], &[seal]].concat(), &["x"], 0);
    assert_eq!((verdict.i4_after_seal, verdict.broken()), (1, 1));

    let boasts = op(1, "write", "a 5 x held 150", "", (150, 151));
    let verdict = judge(&[one.clone(), grant(2, "mutex", "b", "6 200", (120, 130)), boasts], &["x"], 0);
    assert_eq!((verdict.i5_late_signals, verdict.broken()), (1, 1));

    assert_eq!(judge(&[one], &[], 3), Verdict { grants: 1, i6_left: 3, ..Verdict::default() });
    let slow = grant(1, "mutex", "a", "5 200000000000", (1, 100_000_000_000));
    assert_eq!(judge(&[slow], &[], 0), Verdict { grants: 1, i7_stuck: 1, ..Verdict::default() });

    let permit =
        |process, at: u64| grant(process, "permit", &format!("p{process}"), &format!("{at} 100"), (at, at));
    assert_eq!(judge(&[permit(1, 1), permit(2, 2)], &[], 0).broken(), 0);
    let verdict = judge(&[permit(1, 1), permit(2, 2), permit(3, 3)], &[], 0);
    assert_eq!((verdict.i8_exclusion, verdict.broken()), (1, 1));
    let reader = grant(1, "reader", "r", "5 100", (1, 2));
    let verdict = judge(&[reader, grant(2, "writer", "w", "6 100", (3, 4))], &[], 0);
    assert_eq!((verdict.i8_exclusion, verdict.broken()), (1, 1));

    let written = op(1, "write", "a 5 x held 20", "", (20, 21));
    let verdict = judge(&[grant(1, "mutex", "a", "5 100", (1, 10)), written], &["y"], 0);
    assert_eq!((verdict.i9_lost, verdict.broken()), (1, 1));
}
