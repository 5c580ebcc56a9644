//! Failures, delays and dead letters.

mod common;

use common::{SOON, eventually, expire_leases, jobs, next, reader, text};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Backoff, Outcome, Pushed, Queue, QueueOptions, Settled, WorkerOptions};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

const HOUR: Duration = Duration::from_secs(3_600);

fn quick() -> WorkerOptions {
    WorkerOptions::default()
        .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)))
        .max_failures(NonZeroU32::new(3).unwrap())
}

on_every_topology! {
    async fn a_job_that_fails_runs_again_and_is_given_up_after_the_most_failures(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["bad", "good"]).await.unwrap().is_accepted());
        let runs: Arc<Mutex<Vec<(String, u32, u32)>>> = Arc::default();
        let noted = runs.clone();
        let worker = queue.run(quick(), move |job| {
            let name = String::from_utf8(job.payload().to_vec()).unwrap();
            noted.lock().unwrap().push((name.clone(), job.delivery(), job.failures()));
            async move { if name == "bad" { Err("no such mailbox") } else { Ok(()) } }
        }).await.unwrap();
        eventually("it is given up", || async { queue.stats().await.unwrap().dead == 1 }).await;
        let stopped = worker.stop().await;
        assert_eq!((stopped.done, stopped.failed), (1, 3));
        let bad: Vec<_> = runs.lock().unwrap().iter().filter(|run| run.0 == "bad").map(|run| (run.1, run.2)).collect();
        assert_eq!(bad, [(1, 0), (2, 1), (3, 2)]);
        let letter = queue.dead_letters(None, 10).await.unwrap().pop().unwrap();
        assert_eq!((letter.why.as_str(), letter.job.as_ref().unwrap().failures()), ("no such mailbox", 3));
        assert!(queue.replay(&letter).await.unwrap());
        assert!(!queue.replay(&letter).await.unwrap(), "a second replay adds nothing");
        let reader = reader(&queue).await;
        let again = next(&reader).await;
        assert_eq!((text(&again).as_str(), again.delivery(), again.failures()), ("bad", 4, 0));
        assert!(again.ack().await.unwrap().is_done());
    }

    async fn a_handler_that_panics_takes_down_neither_the_worker_nor_the_job(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["panic", "fine"]).await.unwrap().is_accepted());
        let worker = queue.run(quick().concurrency(jobs(1)), |job| async move {
            assert_ne!(job.payload(), b"panic", "on purpose");
        }).await.unwrap();
        eventually("it is given up", || async { queue.stats().await.unwrap().dead == 1 }).await;
        assert_eq!(worker.stop().await.done, 1);
        let letter = queue.dead_letters(None, 1).await.unwrap().pop().unwrap();
        assert_eq!(letter.why, "the handler panicked");
        assert!(queue.delete_dead(&letter).await.unwrap());
        assert!(!queue.delete_dead(&letter).await.unwrap());
        let stats = queue.stats().await.unwrap();
        assert_eq!((stats.pending, stats.delayed, stats.dead), (0, 0, 0));
    }

    async fn a_handler_that_takes_too_long_is_cancelled_and_counted_as_failed(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push("slow").await.unwrap().is_accepted());
        let options = quick().timeout(Duration::from_millis(20));
        let worker = queue.run(options, |_| std::future::pending::<()>()).await.unwrap();
        eventually("it is given up", || async { queue.stats().await.unwrap().dead == 1 }).await;
        assert_eq!(worker.stop().await.failed, 3);
        let letter = queue.dead_letters(None, 1).await.unwrap().pop().unwrap();
        assert_eq!(letter.why, "the handler took longer than 20ms");
    }

    async fn a_key_admits_one_job_per_window(t: TestRedis) {
        let queue = Queue::with_options(t.redis.clone(), "q", QueueOptions::default().max_len(NonZeroU64::new(2).unwrap()));
        let Pushed::Accepted { ids, depth: 1 } = queue.push_unique("order-1", HOUR, "a").await.unwrap() else {
            panic!("the first is added");
        };
        for _ in 0..3 {
            let again = queue.push_unique("order-1", HOUR, "b").await.unwrap();
            assert_eq!(again, Pushed::Duplicate { of: ids[0], depth: 1 });
        }
        assert!(queue.push_unique("order-2", HOUR, "c").await.unwrap().is_accepted());
        assert_eq!(queue.push_unique("order-3", HOUR, "d").await.unwrap(), Pushed::Full { depth: 2 });
        let reader = reader(&queue).await;
        assert!(next(&reader).await.ack().await.unwrap().is_done());
        assert!(queue.push_unique("order-3", HOUR, "d").await.unwrap().is_accepted(), "full was no claim");
        assert!(!queue.push_unique("order-1", HOUR, "b").await.unwrap().is_accepted(), "done, but in its window");
        let unique: Vec<String> = t.keys().await.into_iter().filter(|key| key.contains("unique.")).collect();
        assert_eq!(unique.len(), 3);
        for key in unique {
            assert!(t.ttl_ms(&key).await > 0, "{key} stays for ever");
        }
    }

    /// Eight producers race for each key: one job each.
    async fn racing_producers_of_one_key_add_one_job(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let queue = queue.clone();
            racers.spawn(async move {
                let mut added = 0;
                for key in 0..50_u32 {
                    let pushed = queue.push_unique(key.to_be_bytes(), HOUR, "x").await.unwrap();
                    added += u32::from(pushed.is_accepted());
                }
                added
            });
        }
        let mut added = 0;
        while let Some(done) = racers.join_next().await { added += done.unwrap(); }
        assert_eq!((added, queue.depth().await.unwrap()), (50, 50));
    }

    async fn a_handler_decides_between_dead_and_later(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["dead", "later"]).await.unwrap().is_accepted());
        let worker = queue.run(quick(), |job| async move {
            match job.payload() {
                b"dead" => Outcome::Dead { reason: "gone".into() },
                _ => Outcome::RetryIn { delay: HOUR, reason: "busy".into() },
            }
        }).await.unwrap();
        eventually("both are settled", || async {
            let stats = queue.stats().await.unwrap();
            (stats.dead, stats.delayed, stats.pending) == (1, 1, 0)
        }).await;
        drop(worker);
    }

    async fn delayed_jobs_run_when_they_are_due_and_not_before(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let reader = reader(&queue).await;
        for delay in [400, 30, 150, 5] {
            let pushed = Instant::now();
            let delay = Duration::from_millis(delay);
            queue.push_in(delay, "x").await.unwrap();
            let job = next(&reader).await;
            let waited = pushed.elapsed();
            assert!(waited >= delay.saturating_sub(Duration::from_millis(2)), "{waited:?} of {delay:?}");
            assert!(waited < delay + Duration::from_millis(500), "{waited:?} of {delay:?}");
            assert!(job.ack().await.unwrap().is_done());
        }
        queue.push_at(SystemTime::UNIX_EPOCH, "past").await.unwrap();
        assert_eq!(text(&next(&reader).await), "past");
    }

    async fn delayed_jobs_come_out_in_the_order_in_which_they_are_due(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let soon = SystemTime::now();
        for (ahead, name) in [(3, "c"), (1, "a"), (2, "b"), (3_600_000, "far")] {
            queue.push_at(soon + Duration::from_millis(ahead), name).await.unwrap();
        }
        let reader = reader(&queue).await;
        for expected in ["a", "b", "c"] {
            let job = next(&reader).await;
            assert_eq!(text(&job), expected);
            assert!(job.ack().await.unwrap().is_done());
        }
        let stats = queue.stats().await.unwrap();
        assert_eq!((stats.pending, stats.delayed), (0, 1));
    }

    /// asynq, apalis and others move every due job with one unpack, which ends at about 8,000.
    async fn ten_thousand_jobs_due_at_once_all_run(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let due = SystemTime::now() + HOUR;
        let mut pushes = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let queue = queue.clone();
            pushes.spawn(async move { for _ in 0..500 { queue.push_at(due, "x").await.unwrap(); } });
        }
        while let Some(done) = pushes.join_next().await { done.unwrap(); }
        let delayed = common::key(&t.redis, "q", "delayed");
        let all: Vec<bytes::Bytes> = common::ask(&t.redis, "ZRANGE", &delayed, redis_patterns_core::Args::new().int(0).int(-1)).await;
        for chunk in all.chunks(500) {
            let args = chunk.iter().fold(redis_patterns_core::Args::new().word("XX"), |args, job| args.int(1).bytes(job));
            common::ask::<()>(&t.redis, "ZADD", &delayed, args).await;
        }
        let worker = queue.run(WorkerOptions::default().concurrency(jobs(200)), |_| async {}).await.unwrap();
        eventually("all ran", || async {
            let stats = queue.stats().await.unwrap();
            stats.delayed + stats.pending + common::processing(&t.redis, "q").await == 0
        }).await;
        assert_eq!(worker.stop().await.done, 10_000);
    }

    async fn a_job_that_kills_its_workers_is_given_up(t: TestRedis) {
        let queue = Queue::with_options(t.redis.clone(), "q", QueueOptions::default().max_losses(2));
        assert!(queue.push_many(["poison", "after"]).await.unwrap().is_accepted());
        for losses in 0..3 {
            let victim = reader(&queue).await;
            let job = next(&victim).await;
            assert_eq!((text(&job).as_str(), job.losses(), job.delivery()), ("poison", losses, losses + 1));
            expire_leases(&t.redis, "q").await;
            let reaped = queue.reap().await.unwrap();
            assert_eq!((reaped.jobs, reaped.buried), if losses < 2 { (1, 0) } else { (0, 1) });
            assert_eq!(job.ack().await.unwrap(), Settled::Lost);
        }
        let letter = queue.dead_letters(None, 10).await.unwrap().pop().unwrap();
        assert_eq!((letter.why.as_str(), letter.job.unwrap().losses()), ("lost with 3 workers", 3));
        let survivor = reader(&queue).await;
        assert_eq!(text(&next(&survivor).await), "after");
    }

    async fn stats_and_peek_tell_what_is_there_and_take_nothing(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["a", "b", "c"]).await.unwrap().is_accepted());
        queue.push_in(HOUR, "later").await.unwrap();
        let worker = reader(&queue).await;
        let held = next(&worker).await;
        let stats = queue.stats().await.unwrap();
        assert_eq!((stats.pending, stats.delayed, stats.dead, stats.workers.len()), (2, 1, 0, 1));
        assert!(stats.oldest_age.unwrap() < SOON);
        assert!(stats.workers[0].lease_left.unwrap() <= Duration::from_secs(15));
        let peeked: Vec<_> = queue.peek(10).await.unwrap().iter().map(|job| job.payload().to_vec()).collect();
        assert_eq!(peeked, [b"b".to_vec(), b"c".to_vec()]);
        assert_eq!(queue.depth().await.unwrap(), 2);
        assert!(held.ack().await.unwrap().is_done());
    }
}
