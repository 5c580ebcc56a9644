//! Scripts reach the node of their keys, whatever its script cache holds.

use redis_patterns_core::{Args, Clock, ErrorKind, Script, Tag, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

static ADD: Script = Script::new(
    "test/add",
    "#!lua\n-- add: add to a number.\n-- KEYS[1] n\n-- ARGV[1] by\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])",
);

on_every_topology! {
    /// A flushed script cache costs one more round trip and is never an error.
    async fn a_flushed_cache_is_not_noticed(t: TestRedis) {
        for round in 1..=20_i64 {
            for id in 0..10 {
                let key = t.redis.namespace().key("t", &Tag::of(format!("id-{id}")));
                let sum: i64 = t.redis.run(&ADD, &[&key], &Args::new().int(1)).await.unwrap();
                assert_eq!(sum, round);
            }
            for mut node in t.admin_nodes() {
                node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
            }
        }
    }

    async fn a_call_that_does_not_fit_the_head_is_not_sent(t: TestRedis) {
        let (a, b) = (t.redis.namespace().key("t", &Tag::of("a")), t.redis.namespace().key("t", &Tag::of("b")));
        let calls = [
            t.redis.run::<i64>(&ADD, &[], &Args::new().int(1)).await,
            t.redis.run::<i64>(&ADD, &[&a, &a], &Args::new().int(1)).await,
            t.redis.run::<i64>(&ADD, &[&a], &Args::new()).await,
            t.redis.command::<i64>("DEL", &[&a, &b], &Args::new()).await,
        ];
        for call in calls {
            assert_eq!(call.unwrap_err().kind(), ErrorKind::Input);
        }
        assert!(t.keys().await.is_empty());
    }

    /// On a single server only: in a cluster its keys may be on two nodes.
    async fn a_batch_may_have_keys_of_several_tags_where_there_is_one_server(t: TestRedis) {
        static EXISTS: Script = Script::new("test/exists", "#!lua\n-- KEYS[1..n] keys\nreturn #KEYS");
        let (a, b) = (t.redis.namespace().key("t", &Tag::of("a")), t.redis.namespace().key("t", &Tag::of("b")));
        let answer = t.redis.run_batch::<i64>(&EXISTS, &[&a, &b], &Args::new()).await;
        if t.redis.is_cluster() {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Input);
        } else {
            assert_eq!(answer.unwrap(), 2);
        }
        assert_eq!(t.redis.run_batch::<i64>(&EXISTS, &[&a, &a], &Args::new()).await.unwrap(), 2);
    }

    async fn commands_are_probed(t: TestRedis) {
        assert!(t.redis.supports("GETEX").await.unwrap());
        assert!(!t.redis.supports("NOSUCHCOMMAND").await.unwrap());
        assert!(t.redis.server_info().await.unwrap().is_new_enough());
    }

    async fn replies_of_another_shape_are_an_error(t: TestRedis) {
        let key = t.redis.namespace().key("t", &Tag::of("a"));
        let error = t.redis.run::<Vec<String>>(&ADD, &[&key], &Args::new().int(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reply);
    }

    async fn a_closed_handle_finishes_what_it_began(t: TestRedis) {
        let redis = t.another().await;
        let key = redis.namespace().key("t", &Tag::of("closing"));
        let (task_redis, task_key) = (redis.clone(), key.clone());
        let (begun, wait) = tokio::sync::oneshot::channel::<()>();
        let task = redis.detach(async move {
            wait.await.unwrap();
            task_key.slot() == task_redis.namespace().key("t", &Tag::of("closing")).slot()
        });
        let closing = tokio::spawn({ let redis = redis.clone(); async move { redis.close().await } });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished(), "close does not wait for detached tasks");
        begun.send(()).unwrap();
        assert!(task.await.unwrap());
        closing.await.unwrap();
        let error = redis.run::<i64>(&ADD, &[&key], &Args::new().int(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn an_injected_clock_moves_by_hand() {
    let time = TestClock::at_micros(1_000_000);
    let clock = Clock::Injected(time.clone());
    time.advance(Duration::from_millis(5));
    assert_eq!((clock.micros_arg(), Clock::Server.micros_arg()), (1_005_000, 0));
}
