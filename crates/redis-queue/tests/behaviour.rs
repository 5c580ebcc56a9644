//! One test per sentence of the README's promises.

mod common;

use common::{SOON, ask, eventually, expire_leases, jobs, key, next, processing, reader, registered, text};
use redis_patterns_core::Args;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Pushed, Queue, QueueOptions, Settled, WorkerOptions};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

on_every_topology! {
    async fn jobs_come_out_in_the_order_they_went_in(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert_eq!(queue.push("0").await.unwrap().depth(), 1);
        assert_eq!(queue.push_many(["1", "2", "3"]).await.unwrap().depth(), 4);
        let reader = reader(&queue).await;
        for expected in ["0", "1", "2", "3"] {
            let job = next(&reader).await;
            assert_eq!((text(&job).as_str(), job.delivery()), (expected, 1));
            assert_eq!(job.ack().await.unwrap(), Settled::Done);
        }
        assert_eq!(queue.depth().await.unwrap(), 0);
        reader.close().await.unwrap();
        assert_eq!(t.keys().await, Vec::<String>::new(), "an idle queue leaves nothing");
    }

    async fn a_batch_is_handed_out_in_order_and_acknowledged_job_by_job(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many((0..10).map(|n| n.to_string())).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        let mut held = Vec::new();
        while held.len() < 10 {
            held.extend(reader.next_many(jobs(10 - held.len())).await.unwrap());
        }
        let order: Vec<_> = held.iter().map(text).collect();
        assert_eq!(order, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
        for job in held.drain(..5) {
            assert!(job.ack().await.unwrap().is_done());
        }
        assert_eq!(processing(&t.redis, "q").await, 5);
        drop(held);
        reader.close().await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), 5);
    }

    async fn no_job_is_fetched_before_somebody_asks(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["a", "b", "c"]).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        let job = next(&reader).await;
        assert_eq!((queue.depth().await.unwrap(), processing(&t.redis, "q").await), (2, 1));
        assert!(job.ack().await.unwrap().is_done());
        assert_eq!((queue.depth().await.unwrap(), processing(&t.redis, "q").await), (2, 0));
    }

    async fn a_job_that_comes_later_wakes_the_reader(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let reader = reader(&queue).await;
        let waiting = tokio::spawn(async move { (next(&reader).await.ack().await.unwrap(), reader) });
        eventually("the reader waits", || async { !waiting.is_finished() }).await;
        let pushed = Instant::now();
        assert!(queue.push("x").await.unwrap().is_accepted());
        let (settled, _reader) = waiting.await.unwrap();
        assert!(settled.is_done());
        assert!(pushed.elapsed() < Duration::from_secs(3), "woken, not timed out: {:?}", pushed.elapsed());
    }

    async fn a_dropped_wait_loses_no_job(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let reader = reader(&queue).await;
        for round in 0..20 {
            let wait = tokio::time::timeout(Duration::from_millis(round), reader.next()).await;
            assert!(wait.is_err());
        }
        assert!(queue.push("x").await.unwrap().is_accepted());
        assert_eq!(text(&next(&reader).await), "x");
    }

    async fn a_released_or_dropped_job_is_the_next_again(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["a", "b"]).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        let job = next(&reader).await;
        let id = job.id();
        assert_eq!(job.release().await.unwrap(), Settled::Done);
        let job = next(&reader).await;
        assert_eq!((job.id(), text(&job).as_str(), job.delivery()), (id, "a", 2));
        drop(job);
        eventually("the dropped job is back", || async { queue.depth().await.unwrap() == 2 }).await;
        let job = next(&reader).await;
        assert_eq!((job.id(), job.delivery(), job.losses()), (id, 3, 0));
    }

    async fn the_jobs_of_a_dead_worker_come_back_in_order_and_counted(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many((0..8).map(|n| n.to_string())).await.unwrap().is_accepted());
        let dead = reader(&queue).await;
        let mut held = Vec::new();
        while held.len() < 5 {
            held.extend(dead.next_many(jobs(5 - held.len())).await.unwrap());
        }
        assert_eq!(queue.reap().await.unwrap().jobs, 0, "its lease is not over");
        expire_leases(&t.redis, "q").await;
        let reaped = queue.reap().await.unwrap();
        assert_eq!((reaped.workers, reaped.jobs), (1, 5));
        assert_eq!(queue.reap().await.unwrap().jobs, 0);
        let alive = reader(&queue).await;
        for expected in 0..8 {
            let job = next(&alive).await;
            assert_eq!(text(&job), expected.to_string());
            let again = u32::from(expected < 5);
            assert_eq!((job.delivery(), job.losses()), (1 + again, again));
            assert!(job.ack().await.unwrap().is_done());
        }
        for job in held {
            assert_eq!(job.ack().await.unwrap(), Settled::Lost, "a late ack must not remove another's job");
        }
    }

    async fn a_worker_whose_lease_was_lost_hears_of_it_and_goes_on(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push("x").await.unwrap().is_accepted());
        let options = WorkerOptions::default().lease(Duration::from_secs(1));
        let reader = queue.reader(options).await.unwrap();
        let job = next(&reader).await;
        expire_leases(&t.redis, "q").await;
        tokio::time::timeout(SOON, job.lost()).await.expect("the holder is told");
        let again = next(&reader).await;
        assert_eq!((again.id(), again.delivery()), (job.id(), 2));
        assert_eq!(job.ack().await.unwrap(), Settled::Lost);
        assert!(again.ack().await.unwrap().is_done());
        assert_eq!(reader.stats().leases_lost, 1);
        assert_eq!(registered(&t.redis, "q").await.len(), 1);
    }

    async fn closing_ends_the_wait_at_once_and_returns_what_is_held(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let reader = Arc::new(reader(&queue).await);
        let waiter = tokio::spawn({ let reader = reader.clone(); async move { reader.next().await } });
        assert!(queue.push_many(["a", "b", "c"]).await.unwrap().is_accepted());
        let held = tokio::time::timeout(SOON, waiter).await.unwrap().unwrap().unwrap().unwrap();
        let waiter = tokio::spawn({ let reader = reader.clone(); async move { reader.next().await } });
        let second = tokio::time::timeout(SOON, waiter).await.unwrap().unwrap().unwrap().unwrap();
        assert!(second.release().await.unwrap().is_done());
        let third = next(&reader).await;
        assert!(third.ack().await.unwrap().is_done());
        let reader = Arc::into_inner(reader).unwrap();
        let closing = Instant::now();
        reader.close().await.unwrap();
        assert!(closing.elapsed() < Duration::from_secs(2), "{:?}", closing.elapsed());
        assert_eq!(queue.depth().await.unwrap(), 2);
        assert_eq!(registered(&t.redis, "q").await, Vec::<String>::new());
        assert_eq!(held.ack().await.ok(), None, "the reader is closed");
    }

    async fn closing_while_waiting_leaves_nothing_behind(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        for round in 0..30 {
            let reader = Arc::new(reader(&queue).await);
            let waiter = tokio::spawn({ let reader = reader.clone(); async move { reader.next().await } });
            // sleep: the close shall come at any moment of the wait.
            tokio::time::sleep(Duration::from_millis(round % 7)).await;
            waiter.abort();
            assert!(waiter.await.is_err());
            Arc::into_inner(reader).unwrap().close().await.unwrap();
            assert_eq!(t.keys().await, Vec::<String>::new(), "round {round}");
        }
    }

    async fn a_full_queue_takes_nothing_and_says_so(t: TestRedis) {
        let options = QueueOptions::default().max_len(NonZeroU64::new(3).unwrap());
        let queue = Queue::with_options(t.redis.clone(), "q", options);
        assert!(queue.push_many(["a", "b"]).await.unwrap().is_accepted());
        assert_eq!(queue.push_many(["c", "d"]).await.unwrap(), Pushed::Full { depth: 2 });
        assert_eq!(queue.push("c").await.unwrap().depth(), 3);
        assert_eq!(queue.push("d").await.unwrap(), Pushed::Full { depth: 3 });
        let reader = reader(&queue).await;
        assert!(next(&reader).await.ack().await.unwrap().is_done());
        assert!(queue.push("d").await.unwrap().is_accepted());
    }

    async fn a_worker_runs_each_job_once_and_stops_when_told(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many((0..500).map(|n| n.to_string())).await.unwrap().is_accepted());
        let seen: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
        let noted = seen.clone();
        let worker = queue.run(WorkerOptions::default(), move |job| {
            let noted = noted.clone();
            async move {
                let name = String::from_utf8(job.payload().to_vec()).unwrap();
                *noted.lock().unwrap().entry(name).or_default() += 1;
            }
        }).await.unwrap();
        eventually("all jobs ran", || async { seen.lock().unwrap().len() == 500 }).await;
        let stopping = Instant::now();
        let report = worker.stop().await;
        assert!(stopping.elapsed() < Duration::from_secs(2), "{:?}", stopping.elapsed());
        assert_eq!((report.done, report.failed, report.lost), (500, 0, 0));
        assert!(seen.lock().unwrap().values().all(|&times| times == 1));
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn no_more_run_at_once_than_allowed(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many((0..60).map(|n| n.to_string())).await.unwrap().is_accepted());
        let now = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (running, most) = (now.clone(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
        let highest = most.clone();
        let options = WorkerOptions::default().concurrency(jobs(4));
        let worker = queue.run(options, move |_| {
            let (running, highest) = (running.clone(), highest.clone());
            async move {
                let at_once = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                highest.fetch_max(at_once, std::sync::atomic::Ordering::SeqCst);
                // sleep: what the handler does.
                tokio::time::sleep(Duration::from_millis(2)).await;
                running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            }
        }).await.unwrap();
        eventually("all jobs ran", || async {
            assert!(processing(&t.redis, "q").await <= 4, "more were fetched than could run");
            queue.depth().await.unwrap() == 0 && processing(&t.redis, "q").await == 0
        }).await;
        assert_eq!(worker.stop().await.done, 60);
        assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 4);
    }

    async fn a_stop_cancels_what_does_not_end_in_time_and_hands_it_back(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["a", "b", "c"]).await.unwrap().is_accepted());
        let options = WorkerOptions::default().concurrency(jobs(2)).drain(Duration::from_millis(50));
        let worker = queue.run(options, |_| std::future::pending::<()>()).await.unwrap();
        eventually("two jobs run", || async { processing(&t.redis, "q").await == 2 }).await;
        assert_eq!(worker.stop().await.handed_back, 2);
        let reader = reader(&queue).await;
        let mut left = Vec::new();
        for _ in 0..3 {
            let job = next(&reader).await;
            left.push((text(&job), job.delivery()));
            assert!(job.ack().await.unwrap().is_done());
        }
        left.sort();
        assert_eq!(left, [("a".into(), 2), ("b".into(), 2), ("c".into(), 1)]);
    }

    async fn what_is_no_job_goes_to_the_dead_letters_and_the_reader_goes_on(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let pending = key(&t.redis, "q", "pending");
        ask::<()>(&t.redis, "LPUSH", &pending, Args::new().bytes("garbage").bytes([0xA7, 9])).await;
        assert!(queue.push("good").await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        let job = next(&reader).await;
        assert_eq!(text(&job), "good");
        assert!(job.ack().await.unwrap().is_done());
        let dead = key(&t.redis, "q", "dead");
        eventually("both are buried", || async { ask::<u64>(&t.redis, "XLEN", &dead, Args::new()).await == 2 }).await;
        assert_eq!(processing(&t.redis, "q").await, 0);
    }
}
