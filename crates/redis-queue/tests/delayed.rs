//! Delayed jobs: when they are due by the server's clock, and no asking until then.

mod common;

use common::{next, reader};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::stats::round_trips;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options;
use redis_queue::Queue;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

async fn server_time(t: &TestRedis) -> SystemTime {
    let time: Vec<u64> = t.redis.keyless("TIME", &Args::new()).await.unwrap();
    UNIX_EPOCH + Duration::from_secs(time[0]) + Duration::from_micros(time[1])
}

/// Never before, and the wait asks nothing beyond the heartbeats. How exact it is, the bench tells.
#[tokio::test(flavor = "multi_thread")]
async fn delayed_precision() {
    let server = own::standalone(Options::new()).await;
    let t = TestRedis::at(server.url()).await;
    let queue = Queue::new(t.redis.clone(), "q");
    let reader = reader(&queue).await;
    let urls = [server.url().to_owned()];
    for delay_ms in [1, 7, 50, 333, 1_500] {
        let due = server_time(&t).await + Duration::from_millis(delay_ms);
        let waited = async || {
            queue.push_in(Duration::from_millis(delay_ms), "x").await.unwrap();
            let job = next(&reader).await;
            (server_time(&t).await, job)
        };
        let ((started, job), trips) = round_trips(&urls, waited).await.unwrap();
        // The due time is in whole milliseconds.
        assert!(started + Duration::from_millis(1) >= due, "{started:?} before {due:?}");
        let beats = started.duration_since(due).unwrap_or_default().as_millis() as u64 / 300 + delay_ms / 300;
        let asked = trips.sent.total();
        assert!(asked <= 16 + 4 * beats, "{asked} commands in {delay_ms} ms: {trips:?}");
        assert!(job.ack().await.unwrap().is_done());
    }
    // An earlier one wakes those who sleep until a later one.
    queue.push_in(Duration::from_secs(3_600), "later").await.unwrap();
    queue.push_in(Duration::from_millis(5), "sooner").await.unwrap();
    assert_eq!(next(&reader).await.payload(), b"sooner");
}
