//! Schedules of many replicas: each tick once.

mod common;

use common::{SOON, eventually};
use redis_patterns_core::{Namespace, Redis};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Cron, Error, Missed, NewJob, Queue, Schedule};
use std::time::{SystemTime, UNIX_EPOCH};

fn tick_job(tick: SystemTime) -> NewJob {
    NewJob::from(tick.duration_since(UNIX_EPOCH).unwrap().as_secs().to_string())
}

async fn every_second(queue: &Queue) -> Schedule {
    queue.cron("each second", Cron::utc("* * * * * *").unwrap(), Missed::All, tick_job).await.unwrap()
}

#[test]
fn cron_scheduler() {
    if !process::is_worker("cron_scheduler") {
        return;
    }
    let _lines = process::exit_when_parent_dies();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::builder(&std::env::var("QUEUE_TEST_URL").unwrap())
            .namespace(Namespace::new(&std::env::var("QUEUE_TEST_NAMESPACE").unwrap()).unwrap())
            .connect()
            .await
            .unwrap();
        let _schedule = every_second(&Queue::new(redis, "q")).await;
        process::say("ready");
        std::future::pending::<()>().await;
    });
}

async fn ticks(queue: &Queue) -> Vec<u64> {
    let jobs = queue.peek(1_000).await.unwrap();
    jobs.iter().map(|job| std::str::from_utf8(job.payload()).unwrap().parse().unwrap()).collect()
}

on_every_topology! {
    /// Eight processes, some killed in the middle: no tick twice, none left out.
    async fn cron_once(t: TestRedis) {
        let queue = Queue::new(t.redis.clone(), "q");
        let env = [("QUEUE_TEST_URL", t.url()), ("QUEUE_TEST_NAMESPACE", t.redis.namespace().as_str())];
        let mut schedulers: Vec<_> =
            (0..8).map(|_| Worker::spawn_self_test("cron_scheduler", &env).unwrap()).collect();
        for scheduler in &mut schedulers {
            assert_eq!(scheduler.next_line(SOON).await.unwrap(), "ready");
        }
        eventually("two ticks", || async { queue.depth().await.unwrap() >= 2 }).await;
        for mut scheduler in schedulers.drain(..3) { scheduler.kill().await.unwrap(); }
        let before = queue.depth().await.unwrap();
        eventually("two more", || async { queue.depth().await.unwrap() >= before + 2 }).await;
        // None is left for a moment: what was missed is made up for, once.
        for mut scheduler in schedulers.drain(..) { scheduler.kill().await.unwrap(); }
        let last = *ticks(&queue).await.last().unwrap();
        eventually("a tick is missed", || async { UNIX_EPOCH.elapsed().unwrap().as_secs() > last + 1 }).await;
        let alone = every_second(&queue).await;
        eventually("it is made up for", || async { ticks(&queue).await.contains(&(last + 2)) }).await;
        drop(alone);
        let ticks = ticks(&queue).await;
        let expected: Vec<u64> = (ticks[0]..ticks[0] + ticks.len() as u64).collect();
        assert_eq!(ticks, expected, "each second once, in order");
    }

    async fn what_was_missed_is_fired_as_the_policy_says(t: TestRedis) {
        let hourly = || Cron::utc("0 * * * *").unwrap();
        let server_s: u64 = t.redis.keyless::<Vec<u64>>("TIME", &redis_patterns_core::Args::new()).await.unwrap()[0];
        let this_hour = server_s / 3_600 * 3_600;
        for (missed, expected) in [
            (Missed::All, vec![this_hour - 7_200, this_hour - 3_600, this_hour]),
            (Missed::Latest, vec![this_hour]),
            (Missed::Skip, vec![]),
        ] {
            let queue = Queue::new(t.redis.clone(), format!("{missed:?}"));
            let before = t.keys().await;
            drop(queue.cron("report", hourly(), missed, tick_job).await.unwrap());
            assert_eq!(queue.depth().await.unwrap(), 0, "nothing was missed by what is new");
            let key = t.keys().await.into_iter().find(|key| !before.contains(key)).unwrap();
            assert!(t.ttl_ms(&key).await > 300 * 86_400_000, "{key}");
            let long_ago = ((this_hour - 7_300) * 1_000).to_string();
            tokio::task::spawn_blocking({
                let nodes = t.admin_nodes();
                move || for mut node in nodes { let _ = node.cmd(&["SET", &key, &long_ago, "KEEPTTL"]); }
            }).await.unwrap();
            let schedules = [
                queue.cron("report", hourly(), missed, tick_job).await.unwrap(),
                queue.cron("report", hourly(), missed, tick_job).await.unwrap(),
            ];
            eventually("what was missed is fired", || async { ticks(&queue).await == expected }).await;
            drop(schedules);
        }
    }

    async fn a_text_that_is_no_pattern_is_refused(_t: TestRedis) {
        for pattern in ["", "* * * *", "61 * * * *", "every day"] {
            assert!(matches!(Cron::utc(pattern), Err(Error::Options(_))), "{pattern}");
        }
    }
}
