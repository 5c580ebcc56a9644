//! Commands that block or wait have connections of their own; messages reach those who listen.

use redis_patterns_core::{Args, Key, Notice, Redis, Tag};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn lists(redis: &Redis) -> (Key, Key) {
    let tag = Tag::of("jobs");
    (redis.namespace().key("t", &tag), redis.namespace().part("t", &tag, "processing"))
}

fn right_to_left(seconds: &str) -> Args {
    Args::new().word("RIGHT").word("LEFT").bytes(seconds)
}

on_every_topology! {
    async fn an_empty_end_is_not_a_timeout(t: TestRedis) {
        let (from, to) = lists(&t.redis);
        let line = t.redis.dedicated();
        let block_for = Duration::from_millis(50);
        let job: Option<String> = line.blocking("BLMOVE", &[&from, &to], &right_to_left("0.05"), block_for).await.unwrap();
        assert_eq!(job, None);
        t.redis.command::<()>("LPUSH", &[&from], &Args::new().bytes("a")).await.unwrap();
        let job: Option<String> = line.blocking("BLMOVE", &[&from, &to], &right_to_left("9"), Duration::from_secs(9)).await.unwrap();
        assert_eq!(job.as_deref(), Some("a"));
    }

    /// A block of 30 s ends when asked, and meanwhile the shared connection is not held up.
    async fn a_block_ends_when_asked_and_holds_nobody_up(t: TestRedis) {
        let (from, to) = lists(&t.redis);
        let line = Arc::new(t.redis.dedicated());
        let started = Instant::now();
        let blocked = tokio::spawn({
            let (line, from, to) = (line.clone(), from.clone(), to.clone());
            async move {
                line.blocking::<String>("BLMOVE", &[&from, &to], &right_to_left("30"), Duration::from_secs(30)).await
            }
        });
        // The command may still be on its way when it is told to end, so it is told until it has.
        while !blocked.is_finished() {
            t.redis.command::<Option<String>>("GET", &[&to], &Args::new()).await.unwrap();
            line.unblock().await.unwrap();
        }
        assert_eq!(blocked.await.unwrap().unwrap(), None);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    async fn messages_reach_those_who_listen_to_the_channel(t: TestRedis) {
        let channels: Vec<_> = (0..8).map(|n| t.redis.namespace().key("ch", &Tag::of(format!("c{n}")))).collect();
        for (number, channel) in channels.iter().enumerate() {
            let mut first = t.redis.subscribe(channel).await.unwrap();
            let mut second = t.redis.subscribe(channel).await.unwrap();
            assert_eq!(t.redis.publish(channel, number.to_string()).await.unwrap(), 1, "one connection for all");
            let heard = Notice::Message(number.to_string().into());
            assert_eq!(first.next().await.unwrap(), heard);
            assert_eq!(second.next().await.unwrap(), heard);
            drop(first);
            t.redis.publish(channel, "again").await.unwrap();
            assert_eq!(second.next().await.unwrap(), Notice::Message("again".into()));
            drop(second);
            while t.redis.publish(channel, "anyone?").await.unwrap() > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_counts_the_replicas_that_have_the_write() {
    let group = own::replicated(Options::new().replicas(1)).await;
    let redis = Redis::connect(&group.url()).await.unwrap();
    let line = redis.dedicated();
    let key = redis.namespace().key("t", &Tag::of("k"));
    line.command::<()>("SET", &[&key], &Args::new().bytes("v")).await.unwrap();
    assert_eq!(line.wait_for_replicas(&key, 1, Duration::from_secs(10)).await.unwrap(), 1);
    group.replica().unwrap().stop().unwrap();
    line.command::<()>("SET", &[&key], &Args::new().bytes("w")).await.unwrap();
    assert_eq!(line.wait_for_replicas(&key, 1, Duration::from_millis(100)).await.unwrap(), 0);
}
