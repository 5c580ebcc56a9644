//! Handlers of several jobs at a time, and pushes that wait for room.

mod common;

use common::{SOON, ask, eventually, expire_leases, jobs, key, next, processing, reader};
use redis_patterns_core::Args;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Job, Outcome, Pushed, Queue, QueueOptions, WorkerOptions};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn text(job: &Job) -> String {
    String::from_utf8(job.payload().to_vec()).unwrap()
}

on_every_topology! {
    async fn a_batch_is_what_is_at_hand_up_to_its_size_and_each_job_ends_for_itself(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["done", "dead", "forgotten", "done", "done"]).await.unwrap().is_accepted());
        let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
        let sizes = seen.clone();
        let options = WorkerOptions::default().max_failures(std::num::NonZeroU32::MIN);
        let worker = queue.run_batches(options, jobs(3), move |batch| {
            sizes.lock().unwrap().push(batch.len());
            async move {
                let answers = batch.iter().take_while(|job| text(job) != "forgotten");
                answers.map(|job| match text(job).as_str() {
                    "dead" => Outcome::Dead { reason: "asked to".to_owned() },
                    _ => Outcome::Done,
                }).collect::<Vec<_>>()
            }
        }).await.unwrap();
        eventually("all are settled", || async {
            queue.depth().await.unwrap() == 0 && processing(&t.redis, "q").await == 0
        }).await;
        let report = worker.stop().await;
        let letters = queue.dead_letters(None, 10).await.unwrap();
        let why: Vec<_> = letters.iter().map(|letter| letter.why.as_str()).collect();
        assert!(why.contains(&"asked to"), "{why:?}");
        assert!(why.contains(&"the handler gave no outcome for this job"), "{why:?}");
        let sizes = seen.lock().unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 5);
        assert!(sizes.iter().all(|&size| size <= 3), "{sizes:?}");
        assert_eq!(report.done as usize + letters.len(), 5);
    }

    async fn a_panic_fails_the_whole_batch_and_no_other(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let options = WorkerOptions::default().max_failures(std::num::NonZeroU32::MIN);
        let worker = queue.run_batches(options, jobs(2), |batch| async move {
            assert!(batch.iter().all(|job| text(job) != "bad"), "told to panic");
            vec![(); batch.len()]
        }).await.unwrap();
        assert!(queue.push("bad").await.unwrap().is_accepted());
        eventually("it is buried", || async { queue.stats().await.unwrap().dead == 1 }).await;
        assert!(queue.push("good").await.unwrap().is_accepted());
        eventually("the next ran", || async {
            queue.depth().await.unwrap() == 0 && processing(&t.redis, "q").await == 0
        }).await;
        let report = worker.stop().await;
        assert_eq!((report.done, report.failed), (1, 1));
        assert_eq!(queue.dead_letters(None, 1).await.unwrap()[0].why, "the handler panicked");
    }

    async fn a_lost_lease_cancels_the_whole_batch(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        assert!(queue.push_many(["a", "b"]).await.unwrap().is_accepted());
        let worker = queue
            .run_batches(WorkerOptions::default(), jobs(2), |batch: Vec<Job>| async move {
                if batch.iter().any(|job| job.delivery() == 1) {
                    std::future::pending::<()>().await;
                }
                vec![(); batch.len()]
            })
            .await
            .unwrap();
        eventually("both are held", || async { processing(&t.redis, "q").await == 2 }).await;
        expire_leases(&t.redis, "q").await;
        assert_eq!(queue.reap().await.unwrap().jobs, 2);
        eventually("both ran again", || async {
            queue.depth().await.unwrap() == 0 && processing(&t.redis, "q").await == 0
        }).await;
        let report = worker.stop().await;
        assert_eq!((report.done, report.lost), (2, 2));
    }

    async fn a_push_waits_for_room_and_not_for_longer_than_told(t: TestRedis) {
        let options = QueueOptions::default().max_len(NonZeroU64::MIN);
        let queue = Queue::with_options(t.redis.clone(), "q", options);
        assert!(queue.push("a").await.unwrap().is_accepted());
        let full = queue.push_within(Duration::from_millis(30), "b").await.unwrap();
        assert_eq!(full, Pushed::Full { depth: 1 });

        let pushing = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push_within(SOON, "b").await }
        });
        let reader = reader(&queue).await;
        let job = next(&reader).await;
        assert_eq!(job.payload(), b"a");
        assert!(job.ack().await.unwrap().is_done());
        assert!(pushing.await.unwrap().unwrap().is_accepted());
        let length: u64 = ask(&t.redis, "LLEN", &key(&t.redis, "q", "pending"), Args::new()).await;
        assert_eq!(length, 1);
    }
}

on_every_topology! {
    async fn dead_letters_are_replayed_and_deleted_in_bulk_and_once_each(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let count = 250;
        assert!(queue.push_many((0..count).map(|n| n.to_string())).await.unwrap().is_accepted());
        let reader = reader(&queue).await;
        for n in 0..count {
            let why = if n % 5 == 0 { "never" } else { "passing" };
            assert!(next(&reader).await.bury(why).await.unwrap().is_done());
        }
        assert_eq!(queue.delete_where(|letter| letter.why == "never").await.unwrap(), 50);
        // Those that die again at once are not met again in the same walk.
        let options = WorkerOptions::default().max_failures(std::num::NonZeroU32::MIN);
        let failing = queue.run(options, |_| async { Err::<(), _>("again") }).await.unwrap();
        assert_eq!(queue.replay_where(|letter| letter.why == "passing").await.unwrap(), 200);
        eventually("all died again", || async { queue.stats().await.unwrap().dead == 200 }).await;
        failing.stop().await;
        assert_eq!(queue.replay_where(|_| true).await.unwrap(), 200);
        assert_eq!(queue.stats().await.unwrap().dead, 0);
    }
}
