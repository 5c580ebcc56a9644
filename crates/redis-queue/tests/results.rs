//! What came of a job, for whoever asked to be told.

mod common;

use common::{SOON, ask, eventually, expire_leases, key, next, reader};
use redis_patterns_core::{Args, hex};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{JobId, NewJob, Outcome, Pushed, Queue, Report, WorkerOptions};
use std::num::NonZeroU32;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn asked(payload: &str) -> NewJob {
    NewJob::from(payload).keep_result(HOUR)
}

async fn push(queue: &Queue, job: NewJob) -> JobId {
    match queue.push(job).await.unwrap() {
        Pushed::Accepted { ids, .. } => ids[0],
        other => panic!("{other:?}"),
    }
}

on_every_topology! {
    async fn a_waiter_hears_of_the_result_and_of_the_end_without_one(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let waiting = |id| { let queue = queue.clone(); tokio::spawn(async move { queue.wait(id, SOON).await }) };
        let mut ids = Vec::new();
        for payload in ["7", "nothing", "bad", "panic"] { ids.push(push(&queue, asked(payload)).await); }
        assert_eq!(queue.result(ids[0]).await.unwrap(), None, "nobody has said anything yet");
        let waiters: Vec<_> = ids.iter().map(|&id| waiting(id)).collect();
        let options = WorkerOptions::default().max_failures(NonZeroU32::MIN);
        let worker = queue.run(options, |job| async move {
            match job.payload() {
                b"7" => Ok(Outcome::DoneWith { result: "49".into() }),
                b"bad" => Err("no such number"),
                b"panic" => panic!("told to"),
                _ => Ok(Outcome::Done),
            }
        }).await.unwrap();
        let mut heard = Vec::new();
        for waiter in waiters { heard.push(waiter.await.unwrap().unwrap().expect("an end in time")); }
        assert_eq!(heard, [
            Report::Done { result: "49".into() },
            Report::Done { result: "".into() },
            Report::Dead { reason: "no such number".into() },
            Report::Dead { reason: "the handler panicked".into() },
        ]);
        worker.stop().await;
        assert_eq!(queue.result(ids[0]).await.unwrap(), Some(Report::Done { result: "49".into() }));
        for key in t.keys().await.iter().filter(|key| key.contains("result.")) {
            assert!((1..=3_600_000).contains(&t.ttl_ms(key).await), "{key}");
        }
        assert_eq!(queue.wait(JobId::from([1; 16]), Duration::from_millis(20)).await.unwrap(), None);
    }

    async fn who_does_not_ask_pays_nothing(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let id = push(&queue, NewJob::from("x")).await;
        let reporter = queue.clone();
        let worker = queue.run(WorkerOptions::default(), move |job| {
            let queue = reporter.clone();
            async move {
                assert!(!queue.report_progress(&job, "half").await.unwrap());
                Outcome::DoneWith { result: "dropped".into() }
            }
        }).await.unwrap();
        eventually("it is done", || async {
            queue.depth().await.unwrap() == 0 && common::processing(&t.redis, "q").await == 0
        }).await;
        assert_eq!(worker.stop().await.done, 1);
        assert_eq!(queue.result(id).await.unwrap(), None);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn progress_is_told_until_the_job_is_done_and_never_by_an_earlier_hand_out(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let id = push(&queue, asked("x")).await;
        let zombie = reader(&queue).await;
        let old = next(&zombie).await;
        assert!(queue.report_progress(&old, "1 of 3").await.unwrap());
        assert_eq!(queue.result(id).await.unwrap(), Some(Report::Running { progress: "1 of 3".into() }));
        expire_leases(&t.redis, "q").await;
        queue.reap().await.unwrap();
        let heir = reader(&queue).await;
        let new = next(&heir).await;
        assert!(queue.report_progress(&new, "2 of 3").await.unwrap());
        assert!(!queue.report_progress(&old, "1 of 3 again").await.unwrap(), "the job is another's");
        assert_eq!(queue.result(id).await.unwrap(), Some(Report::Running { progress: "2 of 3".into() }));
        assert!(new.release().await.unwrap().is_done());
        drop(heir);
        let worker = queue.run(WorkerOptions::default(), |_| async {}).await.unwrap();
        assert_eq!(queue.wait(id, SOON).await.unwrap(), Some(Report::Done { result: "".into() }));
        worker.stop().await;
        assert!(!queue.report_progress(&old, "late").await.unwrap(), "done stays done");
    }

    async fn a_result_that_cannot_be_kept_is_no_result(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let id = push(&queue, asked("x")).await;
        let wrong = key(&t.redis, "q", &format!("result.{}", hex(id.as_bytes())));
        ask::<()>(&t.redis, "SET", &wrong, Args::new().bytes("a string")).await;
        let options = WorkerOptions::default().max_failures(NonZeroU32::MIN);
        let worker = queue.run(options, |_| async {}).await.unwrap();
        eventually("it is given up", || async { queue.stats().await.unwrap().dead == 1 }).await;
        let letter = queue.dead_letters(None, 1).await.unwrap().pop().unwrap();
        assert!(letter.why.starts_with("the result could not be kept"), "{}", letter.why);
        worker.stop().await;
    }
}
