//! Lost replies, cut connections, killed and paused workers.

mod common;

use common::{SOON, ask, eventually, key, next, processing, reader, registered, text};
use redis_patterns_core::{Args, Namespace, Redis};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{Match, Proxy, redis as server_faults};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use redis_queue::{Job, Queue, Settled, WorkerOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A handle that goes through a proxy to the server of `t`, with its keys.
async fn through_proxy(t: &TestRedis) -> (Proxy, Redis) {
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url())
        .namespace(t.redis.namespace().clone())
        .command_deadline(Duration::from_millis(500))
        .connect()
        .await
        .unwrap();
    (proxy, redis)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_hand_out_was_lost_on_the_way_is_found_again() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = through_proxy(&t).await;
    let queue = Queue::new(redis, "q");
    let reader = reader(&queue).await;
    for round in 1..=3 {
        proxy.lose_replies(1, Match::Command("BLMOVE"));
        let waits = proxy.counts().of("BLMOVE") + 1;
        let (job, ()) = tokio::join!(next(&reader), async {
            eventually("the reader blocks", || async { proxy.counts().of("BLMOVE") >= waits }).await;
            assert!(Queue::new(t.redis.clone(), "q").push("x").await.unwrap().is_accepted());
        });
        assert_eq!((text(&job).as_str(), job.delivery()), ("x", 1), "it was not started before");
        assert_eq!((proxy.counts().lost_replies, reader.stats().adopted), (round, round as u64));
        assert_eq!(job.ack().await.unwrap(), Settled::Done);
    }
    reader.close().await.unwrap();
    assert_eq!(t.keys().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_whose_reply_was_lost_is_asked_again_and_answers_done() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = through_proxy(&t).await;
    let queue = Queue::new(redis, "q");
    assert!(queue.push("x").await.unwrap().is_accepted());
    let reader = reader(&queue).await;
    let job = next(&reader).await;
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    assert_eq!(job.ack().await.unwrap(), Settled::Done);
    assert_eq!(proxy.counts().lost_replies, 1);
    assert_eq!(processing(&t.redis, "q").await, 0);
    reader.close().await.unwrap();
    assert_eq!(t.keys().await, Vec::<String>::new());
}

/// What a crowd of handlers saw: how often each job ran, and the highest delivery it ran under.
type Seen = Arc<Mutex<BTreeMap<String, (u32, u32)>>>;

fn note(seen: &Seen, job: &Job) {
    let name = String::from_utf8(job.payload().to_vec()).unwrap();
    let mut seen = seen.lock().unwrap();
    let entry = seen.entry(name).or_default();
    *entry = (entry.0 + 1, entry.1.max(job.delivery()));
}

fn check_lossless(seen: &Seen, jobs: usize) -> u32 {
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), jobs, "a job never ran");
    for (name, (runs, delivery)) in seen.iter() {
        assert!(runs <= delivery, "job {name} ran {runs} times, its last delivery was {delivery}");
    }
    seen.values().map(|(runs, _)| runs - 1).sum()
}

async fn nothing_is_left(t: &TestRedis) {
    eventually("the queue is empty and nothing is held", || async {
        let pending = ask::<u64>(&t.redis, "LLEN", &key(&t.redis, "q", "pending"), Args::new()).await;
        pending == 0 && processing(&t.redis, "q").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_lost_or_doubled_while_connections_are_cut_and_replies_lost() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = through_proxy(&t).await;
    let direct = Queue::new(t.redis.clone(), "q");
    let seen = Seen::default();
    let noted = seen.clone();
    let options = WorkerOptions::default().lease(Duration::from_secs(2));
    let worker = Queue::new(redis, "q")
        .run(options, move |job| {
            note(&noted, &job);
            async {}
        })
        .await
        .unwrap();
    const JOBS: usize = 5_000;
    for batch in 0..JOBS / 100 {
        match batch % 4 {
            0 => proxy.lose_replies(1, Match::Command("EVALSHA")),
            1 => proxy.lose_replies(1, Match::Command("BLMOVE")),
            2 => proxy.cut_inside_reply(1, Match::Command("EVALSHA")),
            _ => proxy.cut_all(),
        }
        let names = (batch * 100..batch * 100 + 100).map(|n| n.to_string());
        assert!(direct.push_many(names).await.unwrap().is_accepted());
        let expected = (batch + 1) * 100;
        eventually("the batch ran", || async { seen.lock().unwrap().len() == expected }).await;
    }
    proxy.heal();
    nothing_is_left(&t).await;
    let counts = proxy.counts();
    assert!(counts.lost_replies >= 10 && counts.cuts >= 30, "the faults happened: {counts:?}");
    let stopped = worker.stop().await;
    let doubled = check_lossless(&seen, JOBS);
    println!(
        "{JOBS} jobs, {} cuts, {} replies lost: 0 lost, {doubled} doubled, {stopped:?}",
        counts.cuts, counts.lost_replies
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_after_kills_of_its_connections_and_a_flushed_script_cache() {
    let server = own::standalone(Options::default()).await;
    let t = TestRedis::at(server.url()).await;
    let queue = Queue::new(t.redis.clone(), "q");
    let seen = Seen::default();
    let noted = seen.clone();
    let worker = queue
        .run(WorkerOptions::default(), move |job| {
            note(&noted, &job);
            async {}
        })
        .await
        .unwrap();
    let bystander = reader(&queue).await;
    let server = [t.url().to_owned()];
    for round in 0..10 {
        server_faults::script_flush(&server).await.unwrap();
        server_faults::client_kill_normal(&server).await.unwrap();
        eventually("a push gets through", || async {
            matches!(queue.push(round.to_string()).await, Ok(pushed) if pushed.is_accepted())
        })
        .await;
        eventually("the job ran", || async { seen.lock().unwrap().contains_key(&round.to_string()) }).await;
    }
    let stopped = worker.stop().await;
    let bystander = bystander.stats();
    assert!(stopped.done >= 10);
    assert_eq!((stopped.lost, bystander.leases_lost), (0, 0), "a cut connection is no death");
}

const NAMESPACE: &str = "QUEUE_TEST_NAMESPACE";
const LEASE_MS: &str = "QUEUE_TEST_LEASE_MS";
const URL: &str = "QUEUE_TEST_URL";

/// A worker process: says `start NAME DELIVERY`, works for as long as the payload says in
/// milliseconds after a `/`, says `end NAME DELIVERY`.
#[test]
fn worker_process() {
    if !process::is_worker("worker_process") {
        return;
    }
    let _lines = process::exit_when_parent_dies();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::builder(&std::env::var(URL).unwrap())
            .namespace(Namespace::new(&std::env::var(NAMESPACE).unwrap()).unwrap())
            .connect()
            .await
            .unwrap();
        let lease = std::env::var(LEASE_MS).unwrap().parse().unwrap();
        let options = WorkerOptions::default().lease(Duration::from_millis(lease));
        let handler = |job: Job| async move {
            let payload = String::from_utf8(job.payload().to_vec()).unwrap();
            let (name, millis) = payload.split_once('/').unwrap();
            process::say(&format!("start {name} {}", job.delivery()));
            // sleep: what the handler does.
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap())).await;
            process::say(&format!("end {name} {}", job.delivery()));
        };
        let _worker = Queue::new(redis, "q").run(options, handler).await.unwrap();
        process::say("ready");
        std::future::pending::<()>().await;
    });
}

async fn spawn_worker(t: &TestRedis, lease: Duration) -> Worker {
    let lease = lease.as_millis().to_string();
    let env = [(URL, t.url()), (NAMESPACE, t.redis.namespace().as_str()), (LEASE_MS, &lease)];
    let mut worker = Worker::spawn_self_test("worker_process", &env).unwrap();
    assert_eq!(worker.next_line(SOON).await.unwrap(), "ready");
    worker
}

on_every_topology! {
    async fn the_jobs_of_a_killed_worker_run_on_another(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let lease = Duration::from_secs(60);
        let mut first = spawn_worker(&t, lease).await;
        assert!(queue.push_many((0..10).map(|n| format!("{n}/600000"))).await.unwrap().is_accepted());
        for _ in 0..10 {
            assert!(first.next_line(SOON).await.unwrap().starts_with("start"));
        }
        let mut second = spawn_worker(&t, lease).await;
        eventually("both promised their next heartbeat", || async {
            ask::<u64>(&t.redis, "ZCARD", &key(&t.redis, "q", "beats"), Args::new()).await == 2
        }).await;
        first.kill().await.unwrap();
        let killed = std::time::Instant::now();
        for _ in 0..10 {
            let line = second.next_line(SOON).await.unwrap();
            assert!(line.starts_with("start") && line.ends_with(" 2"), "{line}");
        }
        // The lease would be far from over: the closed connection gave it away.
        assert!(killed.elapsed() < lease / 4, "{:?}", killed.elapsed());
        println!("10 jobs of a killed worker started again within {:?}, its lease was {lease:?}", killed.elapsed());
    }

    /// SIGSTOP past the lease: the job runs elsewhere, and the one that wakes up ends nothing.
    async fn a_paused_worker_wakes_to_find_its_job_gone(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let lease = Duration::from_secs(2);
        let mut paused = spawn_worker(&t, lease).await;
        assert!(queue.push("job/1000").await.unwrap().is_accepted());
        assert_eq!(paused.next_line(SOON).await.unwrap(), "start job 1");
        paused.stop().unwrap();
        let mut second = spawn_worker(&t, lease).await;
        // The wait for a job that the paused one had begun may be served first: then the job comes
        // here through the list of an ended lease, and is delivery 3.
        let started = second.next_line(SOON).await.unwrap();
        assert!(["start job 2", "start job 3"].contains(&started.as_str()), "{started}");
        paused.cont().unwrap();
        assert_eq!(second.next_line(SOON).await.unwrap(), started.replace("start", "end"));
        nothing_is_left(&t).await;
        // The one that was paused was told: its handler was cancelled, so it never says "end".
        assert!(queue.push_many(["next/1", "next/1"]).await.unwrap().is_accepted());
        nothing_is_left(&t).await;
        while let Ok(line) = paused.next_line(Duration::from_millis(200)).await {
            assert_ne!(line, "end job 1", "it went on without its lease");
        }
        eventually("both are registered, the paused one anew", || async {
            registered(&t.redis, "q").await.len() == 2
        }).await;
    }
}
