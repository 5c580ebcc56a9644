//! Faults that other queues have had, one named test each. Those of a lost reply, a killed and a
//! paused worker are in `faults.rs`.

mod common;

use common::{ask, eventually, expire_leases, jobs, key, next, processing, reader, registered, text};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::stats;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{HeldJob, Queue, QueueOptions, Reader, Settled, WorkerOptions};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

async fn take(reader: &Reader, count: usize) -> Vec<HeldJob> {
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(reader.next_many(jobs(count - held.len())).await.unwrap());
    }
    held
}

async fn fill(queue: &Queue, count: usize) {
    for start in (0..count).step_by(1_000) {
        let names = (start..(start + 1_000).min(count)).map(|n| n.to_string());
        assert!(queue.push_many(names).await.unwrap().is_accepted());
    }
}

on_every_topology! {
    /// Equal payloads were one element to LREM 0: acknowledging one removed all.
    async fn equal_payloads_are_jobs_of_their_own(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["same"; 5]).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        let mut held = take(&reader, 5).await;
        assert_eq!(held.iter().map(|job| job.id()).collect::<BTreeSet<_>>().len(), 5);
        assert!(held.remove(2).ack().await.unwrap().is_done());
        assert_eq!(processing(&t.redis, "q").await, 4);
    }

    /// A worker that starts swept with "now" as the limit, and took the jobs of live ones.
    async fn a_worker_that_starts_takes_nothing_from_those_that_live(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        fill(&queue, 10).await;
        let first = reader(&queue).await;
        let held = take(&first, 10).await;
        for _ in 0..5 {
            reader(&queue).await.close().await.unwrap();
        }
        assert_eq!(queue.reap().await.unwrap(), Default::default());
        for job in held {
            assert_eq!(job.ack().await.unwrap(), Settled::Done);
        }
    }

    /// Workers under one reused name kept the dead one's lease alive.
    async fn no_two_workers_share_a_name(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let mut readers = Vec::new();
        for _ in 0..5 {
            readers.push(reader(&queue).await);
        }
        assert_eq!(registered(&t.redis, "q").await.into_iter().collect::<BTreeSet<_>>().len(), 5);
    }

    /// Two reapers acted on one dead worker, and each returned its jobs.
    async fn racing_reapers_return_each_job_once(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        fill(&queue, 1_300).await;
        let dead = reader(&queue).await;
        let held = take(&dead, 1_300).await;
        expire_leases(&t.redis, "q").await;
        let mut reapers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let queue = queue.clone();
            reapers.spawn(async move { queue.reap().await.unwrap().jobs });
        }
        let mut returned = 0;
        while let Some(jobs) = reapers.join_next().await { returned += jobs.unwrap(); }
        // The reader itself hears of its loss and helps; what it returns counts for nobody here.
        assert!(returned <= 1_300, "{returned}");
        eventually("all are back", || async { queue.depth().await.unwrap() == 1_300 }).await;
        let ids: Vec<_> = queue.peek(2_000).await.unwrap().iter().map(|job| job.id()).collect();
        assert_eq!(ids.len(), 1_300);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1_300);
        drop(held);
    }

    /// One job that could not be decoded dropped the whole batch it came with.
    async fn one_bad_job_spoils_no_batch(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        fill(&queue, 5).await;
        let pending = key(&t.redis, "q", "pending");
        ask::<()>(&t.redis, "LPUSH", &pending, Args::new().bytes("not a job")).await;
        assert!(queue.push_many(["5", "6"]).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        for expected in 0..7 {
            let job = next(&reader).await;
            assert_eq!(text(&job), expected.to_string());
            assert!(job.ack().await.unwrap().is_done());
        }
        eventually("it is among the dead", || async { queue.stats().await.unwrap().dead == 1 }).await;
    }

    /// An acknowledgement in a batch with a reaped job failed, and those behind it were dropped.
    async fn a_reaped_job_in_a_batch_of_acknowledgements_spoils_no_other(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        fill(&queue, 9).await;
        let reader = reader(&queue).await;
        let held = take(&reader, 9).await;
        let list = key(&t.redis, "q", &format!("processing.{}", registered(&t.redis, "q").await[0]));
        let removed: u64 = ask(&t.redis, "LREM", &list, Args::new().int(1).bytes(
            ask::<bytes::Bytes>(&t.redis, "LINDEX", &list, Args::new().int(4)).await)).await;
        assert_eq!(removed, 1);
        let mut acks = tokio::task::JoinSet::new();
        for job in held {
            acks.spawn(async move { job.ack().await.unwrap() });
        }
        let mut done = 0;
        while let Some(settled) = acks.join_next().await { done += usize::from(settled.unwrap().is_done()); }
        assert_eq!((done, processing(&t.redis, "q").await), (8, 0));
    }

    /// More producers than room: the length was checked by the client and exceeded.
    async fn racing_producers_never_exceed_the_most(t: TestRedis) {
        let options = QueueOptions::default().max_len(std::num::NonZeroU64::new(100).unwrap());
        let queue = Queue::with_options(t.redis.clone(), "q", options);
        let mut producers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let queue = queue.clone();
            producers.spawn(async move {
                let mut accepted = 0;
                for _ in 0..50 {
                    let pushed = queue.push("x").await.unwrap();
                    assert!(pushed.depth() <= 100, "{pushed:?}");
                    accepted += u64::from(pushed.is_accepted());
                }
                accepted
            });
        }
        let mut accepted = 0;
        while let Some(one) = producers.join_next().await { accepted += one.unwrap(); }
        assert_eq!((accepted, queue.depth().await.unwrap()), (100, 100));
    }

    /// The cost of a job grew with the backlog: 10 us at 1,000 jobs, 17 ms at a million.
    async fn a_backlog_of_a_hundred_thousand_costs_no_more_per_job(t: TestRedis) {
        let small = Queue::new(t.redis.clone(), "small");
        let large = Queue::new(t.redis.clone(), "large");
        fill(&small, 1_000).await;
        fill(&large, 100_000).await;
        let mut best = [Duration::MAX; 2];
        for _ in 0..5 {
            for (queue, best) in [&small, &large].into_iter().zip(&mut best) {
                let reader = reader(queue).await;
                let started = Instant::now();
                for job in take(&reader, 100).await {
                    assert!(job.ack().await.unwrap().is_done());
                }
                *best = started.elapsed().min(*best);
                reader.close().await.unwrap();
            }
        }
        // The best of five, since others use the machine too; a linear cost would be a hundredfold.
        assert!(best[1] < best[0] * 5, "100 jobs at a backlog of 1,000 and of 100,000: {best:?}");
    }

    /// Acknowledging the oldest of many in flight searched the whole list.
    async fn acknowledging_the_oldest_of_ten_thousand_in_flight_is_as_cheap_as_the_only_one(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        fill(&queue, 10_000).await;
        let reader = reader(&queue).await;
        let mut held = take(&reader, 10_000).await;
        let mut cost = async |count: usize| {
            let started = Instant::now();
            for job in held.drain(..count) {
                assert!(job.ack().await.unwrap().is_done());
            }
            started.elapsed()
        };
        let many = cost(200).await;
        cost(9_500).await;
        let few = cost(200).await;
        assert!(many < few * 5, "200 of 10,000: {many:?}, 200 of 300: {few:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_is_one_round_trip() {
    let server = redis_patterns_testkit::harness::own::standalone(Default::default()).await;
    let t = TestRedis::at(server.url()).await;
    let queue = Queue::new(t.redis.clone(), "q");
    let urls = [server.url()];
    // The first calls carry the sources of the scripts.
    for _ in 0..2 {
        let (pushed, trips) =
            stats::round_trips(&urls, async || queue.push("x").await.unwrap()).await.unwrap();
        assert!(pushed.is_accepted());
        let _ = trips;
    }
    let (_, trips) =
        stats::round_trips(&urls, async || queue.push_many(["x"; 1_000]).await.unwrap()).await.unwrap();
    assert_eq!(trips.sent.total(), 1, "{trips:?}");
    let (_, trips) = stats::round_trips(&urls, async || queue.depth().await.unwrap()).await.unwrap();
    assert_eq!(trips.sent.total(), 1, "{trips:?}");
}

/// Idle workers polled and loaded the server: at most one command per second and worker.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_sends_at_most_one_command_per_second() {
    let server = redis_patterns_testkit::harness::own::standalone(Default::default()).await;
    let t = TestRedis::at(server.url()).await;
    let queue = Queue::new(t.redis.clone(), "q");
    let worker = queue.run(WorkerOptions::default(), |_| async {}).await.unwrap();
    eventually("it has settled in", || async {
        ask::<u64>(&t.redis, "ZCARD", &key(&t.redis, "q", "beats"), Args::new()).await == 1
    })
    .await;
    let urls = [server.url()];
    let span = Duration::from_secs(12);
    // sleep: the time over which is counted.
    let (_, trips) = stats::round_trips(&urls, async || tokio::time::sleep(span).await).await.unwrap();
    let sent = trips.sent.total();
    println!("{sent} commands in {span:?}: {:?}", trips.sent);
    assert!(sent as f64 <= span.as_secs_f64() + 1.0, "{sent} commands in {span:?}");
    drop(worker);
}
