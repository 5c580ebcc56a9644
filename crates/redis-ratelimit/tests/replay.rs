//! Every script run twice with the same arguments: what its `replay` line says.

mod common;

use common::{count, expires_at_ms, key, state};
use redis_patterns_core::{Args, Script, script};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static FIXED_WINDOW: Script = script!("fixed_window", "../src/scripts/fixed_window.lua");

const HOUR_MS: i64 = 3_600_000;

on_every_topology! {
    async fn fixed_window_counts_again_and_keeps_its_window(t: TestRedis) {
        let key = key(&t.redis, "ann");
        let args = Args::new().int(2).int(HOUR_MS);
        let first: (i64, u64, i64) = t.redis.run(&FIXED_WINDOW, &[&key], &args).await.unwrap();
        assert_eq!(first, (1, 1, HOUR_MS));
        let opened = expires_at_ms(&t.redis, &key).await;
        let second: (i64, u64, i64) = t.redis.run(&FIXED_WINDOW, &[&key], &args).await.unwrap();
        assert_eq!((second.0, second.1), (1, 2));
        assert!(second.2 > 0 && second.2 <= HOUR_MS);
        assert_eq!((count(&t.redis, &key).await, expires_at_ms(&t.redis, &key).await), (Some(2), opened));
    }

    async fn fixed_window_refuses_again_and_writes_nothing(t: TestRedis) {
        let key = key(&t.redis, "ann");
        let args = Args::new().int(1).int(HOUR_MS);
        let _: (i64, u64, i64) = t.redis.run(&FIXED_WINDOW, &[&key], &args).await.unwrap();
        let before = state(&t.redis, &key).await;
        for _ in 0..2 {
            let denied: (i64, u64, i64) = t.redis.run(&FIXED_WINDOW, &[&key], &args).await.unwrap();
            assert_eq!((denied.0, denied.1), (0, 1));
            assert_eq!(state(&t.redis, &key).await, before);
        }
    }
}
