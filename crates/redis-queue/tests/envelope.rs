//! What a job carries beside its payload: its deadline, its trace, its layout.

mod common;

use common::{SOON, ask, eventually, jobs, key, next, reader};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{NewJob, Queue, QueueOptions, TraceParent, WorkerOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3_600);
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn why_dead(queue: &Queue, count: usize) -> Vec<String> {
    eventually("they are given up", || async { queue.stats().await.unwrap().dead == count as u64 }).await;
    let letters = queue.dead_letters(None, 10).await.unwrap();
    letters.into_iter().map(|letter| letter.why).collect()
}

on_every_topology! {
    async fn a_job_that_nobody_started_by_its_deadline_is_a_dead_letter(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let late = NewJob::from("late").deadline(Duration::from_millis(1));
        let timely = NewJob::from("timely").deadline(HOUR);
        assert!(queue.push_many([late, timely, NewJob::from("any time")]).await.unwrap().is_accepted());
        let deadline = queue.peek(2).await.unwrap()[1].deadline().unwrap();
        let left = deadline.duration_since(SystemTime::now()).unwrap();
        assert!(left <= HOUR && left > HOUR - Duration::from_secs(60), "{left:?}");
        // sleep: the deadline shall pass.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let ran: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let noted = ran.clone();
        let worker = queue.run(WorkerOptions::default().concurrency(jobs(1)), move |job| {
            noted.lock().unwrap().push(job.payload().to_vec());
            async {}
        }).await.unwrap();
        assert_eq!(why_dead(&queue, 1).await, ["not started by its deadline"]);
        eventually("the others ran", || async { ran.lock().unwrap().len() == 2 }).await;
        assert_eq!(worker.stop().await.done, 2);
        assert_eq!(*ran.lock().unwrap(), [b"timely".to_vec(), b"any time".to_vec()]);
    }

    async fn a_handler_is_cancelled_at_the_deadline_of_its_job(t: TestRedis) {
        struct Told(Arc<AtomicU32>);
        impl Drop for Told {
            fn drop(&mut self) { self.0.fetch_add(1, Ordering::SeqCst); }
        }
        let queue = Queue::new(t.redis.clone(), "q");
        let cancelled = Arc::new(AtomicU32::new(0));
        let counted = cancelled.clone();
        let worker = queue.run(WorkerOptions::default(), move |_| {
            let told = Told(counted.clone());
            async move { std::future::pending::<()>().await; drop(told); }
        }).await.unwrap();
        let job = NewJob::from("slow").deadline(Duration::from_millis(300));
        assert!(queue.push(job).await.unwrap().is_accepted());
        let why = why_dead(&queue, 1).await;
        assert!(why == ["not done by its deadline"] || why == ["not started by its deadline"], "{why:?}");
        assert_eq!(cancelled.load(Ordering::SeqCst), u32::from(why[0].starts_with("not done")));
        worker.stop().await;
    }

    /// One job without a deadline keeps the handler of its batch, and the late one does not run.
    async fn a_batch_runs_without_what_is_too_late(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let late = || NewJob::from("late").deadline(Duration::from_millis(1));
        assert!(queue.push_many([NewJob::from("a"), late(), NewJob::from("b"), late()]).await.unwrap().is_accepted());
        // sleep: the deadline shall pass.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let worker = queue.run_batches(WorkerOptions::default(), jobs(10), |batch| async move {
            let payloads: Vec<_> = batch.iter().map(|job| job.payload()).collect();
            assert!(!payloads.contains(&&b"late"[..]));
            vec![(); batch.len()]
        }).await.unwrap();
        assert_eq!(why_dead(&queue, 2).await, ["not started by its deadline"; 2]);
        eventually("the others are done", || async {
            queue.depth().await.unwrap() == 0 && common::processing(&t.redis, "q").await == 0
        }).await;
        assert_eq!(worker.stop().await.done, 2);
    }

    async fn the_trace_of_the_producer_reaches_the_worker_and_survives_retries(t: TestRedis) {
        let parent: TraceParent = PARENT.parse().unwrap();
        let options = QueueOptions::default().trace_with(move || Some(parent));
        let queue = Queue::with_options(t.redis.clone(), "q", options);
        let own: TraceParent = PARENT.replace("-01", "-00").parse().unwrap();
        assert!(queue.push_many([NewJob::from("a"), NewJob::from("b").trace(own)]).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        let job = next(&reader).await;
        assert_eq!((job.trace(), job.payload()), (Some(parent), &b"a"[..]));
        assert!(job.retry_in(Duration::from_millis(1)).await.unwrap().is_done());
        let job = next(&reader).await;
        assert_eq!(job.trace(), Some(own));
        assert!(job.release().await.unwrap().is_done());
        for _ in 0..2 {
            let job = next(&reader).await;
            assert_eq!((job.delivery(), job.trace().is_some(), job.payload().len()), (2, true, 1));
            assert!(job.ack().await.unwrap().is_done());
        }
    }

    /// As a program in another language writes them, and as a later version of this one might.
    async fn a_job_of_another_program_runs_and_one_of_a_later_version_is_kept(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let mut job = vec![0xA7, 1, 0, 0];
        job.extend([7; 16]);
        job.extend([0; 12]);
        job.extend(b"by hand");
        let pending = key(&t.redis, "q", "pending");
        for (at, byte) in [(1, 2), (3, 0x40), (0, 0)] {
            let mut other = job.clone();
            other[at] = byte;
            ask::<()>(&t.redis, "LPUSH", &pending, Args::new().bytes(other)).await;
        }
        ask::<()>(&t.redis, "LPUSH", &pending, Args::new().bytes(&job)).await;
        let reader = reader(&queue).await;
        let held = next(&reader).await;
        assert_eq!((held.payload(), held.id().as_bytes()), (&b"by hand"[..], &[7; 16]));
        assert!(held.ack().await.unwrap().is_done());
        assert_eq!(why_dead(&queue, 3).await, ["not a job of redis-queue, or of a later version"; 3]);
        let raw: Vec<(String, Vec<bytes::Bytes>)> =
            ask(&t.redis, "XRANGE", &key(&t.redis, "q", "dead"), Args::new().word("-").word("+")).await;
        assert!(raw.iter().all(|(_, fields)| fields[1].ends_with(b"by hand")), "nothing of them is lost");
    }

    async fn a_waiting_job_of_100_bytes_takes_at_most_210(t: TestRedis) {
        let parent: TraceParent = PARENT.parse().unwrap();
        for traced in [false, true] {
            let options = QueueOptions::default().trace_with(move || traced.then_some(parent));
            let name = format!("q{traced}");
            let queue = Queue::with_options(t.redis.clone(), &name, options);
            for _ in 0..10 {
                assert!(queue.push_many([[b'x'; 100]; 1_000]).await.unwrap().is_accepted());
            }
            let pending = key(&t.redis, &name, "pending");
            let bytes = tokio::task::spawn_blocking({
                let (t, key) = (t.admin_nodes(), pending.as_str().to_owned());
                move || t.into_iter().filter_map(|mut node| {
                    node.cmd(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]).ok().and_then(|used| used.int())
                }).sum::<i64>()
            }).await.unwrap();
            assert!(bytes > 0 && bytes / 10_000 <= 210, "{} bytes a job", bytes / 10_000);
        }
    }
}

/// The time that a deadline needs is asked for once, not with each push, and by nobody else.
#[tokio::test]
async fn only_deadlines_ask_for_the_time_and_not_each_time() {
    let Some(t) = TestRedis::standalone().await else { return };
    let server = redis_patterns_testkit::harness::own::standalone(Default::default()).await;
    let t = TestRedis::at(server.url()).await.redis.with_namespace(t.redis.namespace().clone());
    let queue = Queue::new(t, "q");
    let urls = [server.url().to_owned()];
    let push = async |deadline: bool| {
        for _ in 0..10 {
            let job = NewJob::from("x");
            let job = if deadline { job.deadline(SOON) } else { job };
            assert!(queue.push(job).await.unwrap().is_accepted());
        }
    };
    push(true).await;
    for deadline in [true, false] {
        let ((), trips) = round_trips(&urls, async || push(deadline).await).await.unwrap();
        assert_eq!(trips.sent.of("evalsha"), 10, "{trips:?}");
    }
}
