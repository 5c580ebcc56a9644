//! The scripts as a state machine against a model in plain Rust: any worker may stop between any
//! two steps and never come back, and after every step each list holds exactly what the model says.

mod common;

use bytes::Bytes;
use common::{ask, key};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use redis_patterns_core::{Args, FromReply, Key, Redis, Script};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::collections::BTreeMap;

macro_rules! script {
    ($name:literal) => {
        &Script::new(concat!("queue/", $name), include_str!(concat!("../src/scripts/", $name, ".lua")))
    };
}

const LEASE_MS: i64 = 5_000;
const MAX_LEN: i64 = 12;
const MAX_LOSSES: i64 = 2;
const REAP_LIMIT: i64 = 2;

type Job = Vec<u8>;

/// What the server should hold. Lists have the next job first.
#[derive(Debug, Default)]
struct Model {
    now_ms: i64,
    pending: Vec<Job>,
    held: BTreeMap<String, Vec<Job>>,
    leases: BTreeMap<String, i64>,
    delayed: Vec<(i64, Job)>,
    dead: Vec<Job>,
    done: Vec<u8>,
}

/// The server, under the model's clock.
struct Server<'a> {
    redis: &'a Redis,
    queue: String,
}

fn envelope(number: u8) -> Job {
    let mut job = vec![0xA7, 1, 0, 0];
    job.extend([number; 16]);
    job.extend([0; 12]);
    job
}

fn bump(job: &mut Job, counters: &[usize]) {
    for &at in counters {
        job[at + 1] += 1;
    }
}

const DELIVERIES: usize = 20;
const FAILURES: usize = 22;
const LOSSES: usize = 24;

impl Server<'_> {
    fn key(&self, part: &str) -> Key {
        key(self.redis, &self.queue, part)
    }

    fn processing(&self, worker: &str) -> Key {
        self.key(&format!("processing.{worker}"))
    }

    async fn run<R: FromReply>(&self, script: &Script, keys: &[&Key], args: Args) -> R {
        self.redis.run(script, keys, &args).await.unwrap()
    }

    async fn list(&self, list: &Key) -> Vec<Bytes> {
        ask(self.redis, "LRANGE", list, Args::new().int(0).int(-1)).await
    }

    /// Every list, compared.
    async fn agrees_with(&self, model: &Model, step: &str) {
        let pending: Vec<_> = self.list(&self.key("pending")).await.into_iter().rev().collect();
        assert_eq!(pending, model.pending, "pending after {step}");
        for (worker, jobs) in &model.held {
            let held: Vec<_> = self.list(&self.processing(worker)).await.into_iter().rev().collect();
            assert_eq!(&held, jobs, "held by {worker} after {step}");
        }
        let delayed: u64 = ask(self.redis, "ZCARD", &self.key("delayed"), Args::new()).await;
        assert_eq!(delayed as usize, model.delayed.len(), "delayed after {step}");
        let dead: u64 = ask(self.redis, "XLEN", &self.key("dead"), Args::new()).await;
        assert_eq!(dead as usize, model.dead.len(), "dead after {step}");
    }
}

impl Model {
    fn alive(&self, worker: &str) -> bool {
        self.leases.get(worker).is_some_and(|&until| until > self.now_ms)
    }

    fn clock(&self) -> Args {
        Args::new().int(self.now_ms * 1_000)
    }

    async fn push(&mut self, server: &Server<'_>, count: u8, next: &mut u8) {
        let jobs: Vec<Job> = (0..count).map(|n| envelope(*next + n)).collect();
        let args = jobs.iter().fold(Args::new().int(MAX_LEN), |args, job| args.bytes(job));
        let reply: (i64, i64) = server.run(script!("push"), &[&server.key("pending")], args).await;
        let fits = self.pending.len() + jobs.len() <= MAX_LEN as usize;
        if fits {
            self.pending.extend(jobs);
            *next += count;
        }
        assert_eq!(reply, (i64::from(fits), self.pending.len() as i64));
    }

    async fn join(&mut self, server: &Server<'_>, worker: &str) {
        let args = self.clock().bytes(worker).int(LEASE_MS);
        server.run::<i64>(script!("join"), &[&server.key("leases")], args).await;
        self.leases.insert(worker.into(), self.now_ms + LEASE_MS);
        self.held.entry(worker.into()).or_default();
    }

    async fn beat(&mut self, server: &Server<'_>, worker: &str) {
        let [leases, delayed, beats, graves] =
            ["leases", "delayed", "beats", "graves"].map(|p| server.key(p));
        let args = self.clock().bytes(worker).int(LEASE_MS).int(0).int(1_000);
        let keys = [&leases, &server.processing(worker), &delayed, &beats, &graves];
        let reply: Vec<i64> = server.run(script!("beat"), &keys, args).await;
        let alive = self.alive(worker);
        assert_eq!(reply[..2], [i64::from(alive), self.held[worker].len() as i64]);
        if alive {
            self.leases.insert(worker.into(), self.now_ms + LEASE_MS);
        }
    }

    async fn take(&mut self, server: &Server<'_>, worker: &str, count: u8) {
        let keys = [&server.key("leases"), &server.key("pending"), &server.processing(worker)];
        let args = self.clock().bytes(worker).int(count.into());
        let reply: (bool, i64, Vec<Bytes>) = server.run(script!("take"), &keys, args).await;
        let alive = self.alive(worker);
        let count = if alive { self.pending.len().min(count.into()) } else { 0 };
        let jobs: Vec<Job> = self.pending.drain(..count).collect();
        assert_eq!((reply.0, reply.1), (alive, self.pending.len() as i64));
        assert_eq!(reply.2, jobs);
        self.held.get_mut(worker).unwrap().extend(jobs);
    }

    /// One of the four ways to be done with the `pick`-th job that a worker holds, or ever held:
    /// a job that is not there any more must change nothing.
    async fn settle(&mut self, server: &Server<'_>, worker: &str, pick: u8, how: u8) {
        let held = self.held.get_mut(worker).unwrap();
        let there = !held.is_empty();
        let job = if there { held.remove(usize::from(pick) % held.len()) } else { envelope(255) };
        let registered = self.leases.contains_key(worker);
        let expected = (i64::from(registered), i64::from(there));
        let (leases, processing) = (server.key("leases"), server.processing(worker));
        let mut after = job.clone();
        let reply = match how % 4 {
            0 => {
                let args = Args::new().bytes(worker).bytes(&job);
                let reply: (i64, Vec<i64>) = server.run(script!("ack"), &[&leases, &processing], args).await;
                self.done.extend(there.then_some(job[4]));
                (reply.0, reply.1[0])
            }
            1 => {
                bump(&mut after, &[DELIVERIES]);
                let args = Args::new().bytes(worker).bytes(&job).bytes(&after);
                let keys = [&leases, &processing, &server.key("pending")];
                if there {
                    self.pending.insert(0, after);
                }
                server.run(script!("release"), &keys, args).await
            }
            2 => {
                bump(&mut after, &[DELIVERIES, FAILURES]);
                let args = self.clock().bytes(worker).bytes(&job).bytes(&after).int(700);
                let keys = [&leases, &processing, &server.key("delayed")];
                if there {
                    self.delayed.push((self.now_ms + 700, after));
                }
                server.run(script!("retry"), &keys, args).await
            }
            _ => {
                let args = Args::new().bytes(worker).bytes(&job).bytes(&after).bytes("why").int(1_000);
                let keys = [&leases, &processing, &server.key("dead")];
                self.dead.extend(there.then_some(after));
                server.run(script!("bury"), &keys, args).await
            }
        };
        assert_eq!(reply, expected, "settling by way {}", how % 4);
    }

    async fn reap(&mut self, server: &Server<'_>, worker: &str, how: i64) {
        let [leases, graves, pending, dead, beats] =
            ["leases", "graves", "pending", "dead", "beats"].map(|part| server.key(part));
        let (processing, alive) = (server.processing(worker), server.key(&format!("alive.{worker}")));
        let keys = [&leases, &graves, &processing, &pending, &dead, &beats, &alive];
        let args = self.clock().bytes(worker).int(how).int(REAP_LIMIT).int(60_000).int(MAX_LOSSES).int(1_000);
        let reply: (i64, i64, i64, i64) = server.run(script!("reap"), &keys, args).await;
        let held = self.held.get_mut(worker).unwrap();
        if how == 1 && self.leases.get(worker).is_some_and(|&until| until > self.now_ms) {
            assert_eq!(reply, (0, 0, held.len() as i64, 0));
            return;
        }
        self.leases.remove(worker);
        let keep = held.len().saturating_sub(REAP_LIMIT as usize);
        let mut returned = Vec::new();
        let mut buried = 0;
        for mut job in held.split_off(keep) {
            match how {
                1 => bump(&mut job, &[DELIVERIES, LOSSES]),
                2 => bump(&mut job, &[DELIVERIES]),
                _ => {}
            }
            if how == 1 && i64::from(job[LOSSES + 1]) > MAX_LOSSES {
                self.dead.push(job);
                buried += 1;
            } else {
                returned.push(job);
            }
        }
        assert_eq!(reply, (1, returned.len() as i64, held.len() as i64, buried));
        self.pending.splice(0..0, returned);
    }

    async fn promote(&mut self, server: &Server<'_>) {
        let keys = [&server.key("delayed"), &server.key("pending")];
        let reply: (i64, i64) = server.run(script!("promote"), &keys, self.clock().int(2)).await;
        self.delayed.sort();
        let due = self.delayed.iter().take_while(|(due, _)| *due <= self.now_ms).count().min(2);
        let moved: Vec<Job> = self.delayed.drain(..due).map(|(_, job)| job).collect();
        self.pending.extend(moved);
        let next = self.delayed.first().map_or(-1, |(next, _)| (next - self.now_ms).max(0));
        assert_eq!(reply, (due as i64, next));
    }
}

async fn run_schedule(t: &TestRedis, number: usize, steps: &[(u8, u8, u8)]) {
    let server = Server { redis: &t.redis, queue: format!("q{number}") };
    let mut model = Model { now_ms: 1_000_000, ..Model::default() };
    let (mut next_job, mut names) = (0, vec!["w0".to_owned(), "w1".to_owned(), "w2".to_owned()]);
    for name in &names {
        model.join(&server, name).await;
    }
    for (index, &(op, a, b)) in steps.iter().enumerate() {
        let worker = names[usize::from(a) % names.len()].clone();
        match op {
            0 | 1 if next_job < 200 => model.push(&server, b % 3 + 1, &mut next_job).await,
            2 | 3 => model.take(&server, &worker, b % 3 + 1).await,
            4..=7 => model.settle(&server, &worker, b, op).await,
            8 => model.beat(&server, &worker).await,
            9 => model.now_ms += i64::from(b) * 20,
            10 => model.reap(&server, &worker, 1).await,
            11 => model.reap(&server, &worker, i64::from(b % 2) + 2).await,
            12 => model.promote(&server).await,
            // A crash: the worker is never heard of again, and another takes its place.
            13 => {
                let born = format!("w{}", names.len() + 1 + index);
                model.join(&server, &born).await;
                names[usize::from(a) % 3] = born;
            }
            _ => {}
        }
        server.agrees_with(&model, &format!("step {index} {:?} of schedule {number}", (op, a, b))).await;
    }
    // Everybody dies; what was pushed is done, dead, or waits again, each once.
    model.now_ms += 2 * LEASE_MS;
    for worker in model.held.keys().cloned().collect::<Vec<_>>() {
        while !model.held[&worker].is_empty() || model.leases.contains_key(&worker) {
            model.reap(&server, &worker, 1).await;
        }
    }
    while !model.delayed.is_empty() {
        model.promote(&server).await;
    }
    server.agrees_with(&model, "the end").await;
    let mut all: Vec<u8> =
        model.pending.iter().chain(&model.dead).map(|job| job[4]).chain(model.done).collect();
    all.sort_unstable();
    assert_eq!(all, (0..next_job).collect::<Vec<_>>(), "schedule {number}");
}

on_every_topology! {
    async fn random_schedules_agree_with_the_model(t: TestRedis) {
        let schedules = proptest::collection::vec(proptest::collection::vec((0_u8..14, any::<u8>(), any::<u8>()), 80), 10);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let schedules = schedules.new_tree(&mut runner).unwrap().current();
        for (number, steps) in schedules.iter().enumerate() {
            run_schedule(&t, number, steps).await;
        }
    }
}
