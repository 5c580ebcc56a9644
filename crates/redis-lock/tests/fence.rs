//! Fences only go up: whatever becomes of the remembered one.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, FencingToken, LockOptions, Locks};
use redis_patterns_core::{Args, Key, Redis, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::time::{Duration, SystemTime};

const LARGEST: u64 = (1 << 53) - 1;

fn remembered(redis: &Redis) -> Key {
    redis.namespace().part("lock", &Tag::of("a"), "f")
}

async fn set(redis: &Redis, value: &str) {
    let args = Args::new().bytes(value).word("PX").int(60_000);
    redis.command::<()>("SET", &[&remembered(redis)], &args).await.unwrap();
}

async fn next(locks: &Locks) -> Result<FencingToken, Error> {
    let guard = locks.try_lock("a").await?.acquired().expect("the lock is free");
    let fence = guard.fence()?;
    let _ = guard.release().await?;
    Ok(fence)
}

on_every_topology! {
    async fn it_rises_after_the_remembered_one_is_lost(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let mut last = next(&locks).await.unwrap();
        for _ in 0..20 {
            t.redis.command::<()>("DEL", &[&remembered(&t.redis)], &Args::new()).await.unwrap();
            let fence = next(&locks).await.unwrap();
            assert!(fence > last, "{fence} after {last}");
            last = fence;
        }
    }

    async fn it_is_the_time_in_microseconds_if_that_is_higher(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let fence = Duration::from_micros(next(&locks).await.unwrap().get());
        let apart = fence.abs_diff(now);
        assert!(apart < Duration::from_secs(60), "{apart:?}");
    }

    async fn it_is_one_more_than_the_last_if_the_clock_is_behind(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        // As after the clock was set back by some 170 years.
        let last = LARGEST - 1_000;
        set(&t.redis, &last.to_string()).await;
        for step in 1..=3 {
            assert_eq!(next(&locks).await.unwrap().get(), last + step);
        }
    }

    async fn it_is_refused_rather_than_repeated_at_the_end_of_its_range(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        set(&t.redis, &(LARGEST - 1).to_string()).await;
        assert_eq!(next(&locks).await.unwrap().get(), LARGEST);
        for end in [LARGEST.to_string(), "9".repeat(400)] {
            set(&t.redis, &end).await;
            assert!(matches!(next(&locks).await, Err(Error::FenceExhausted)));
        }
        let lock = t.redis.namespace().key("lock", &Tag::of("a"));
        assert_eq!(t.redis.command::<i64>("EXISTS", &[&lock], &Args::new()).await.unwrap(), 0);
    }

    async fn what_is_no_number_is_taken_for_forgotten(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let mut last = next(&locks).await.unwrap();
        for planted in ["", "nan", "-1", "inf", "1e300", "0x7fffffffffffff", " 1", "x"] {
            set(&t.redis, planted).await;
            let fence = next(&locks).await.unwrap();
            assert!(fence > last, "{planted:?} gave {fence} after {last}");
            last = fence;
        }
    }
}
