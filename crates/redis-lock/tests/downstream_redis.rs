//! The count in Redis, in a register that only the highest fence may write.

#![allow(clippy::unwrap_used)]

mod downstream;

use downstream::{NAME, Stock};
use redis_lock::{FencedRegister, FencingToken, Redis};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

impl Stock for FencedRegister {
    async fn open(_: &str, redis: &Redis) -> Self {
        Self::new(redis.clone(), Duration::from_secs(3_600))
    }

    async fn read(&self) -> i64 {
        let value = FencedRegister::read(self, NAME).await.unwrap().unwrap();
        std::str::from_utf8(&value).unwrap().parse().unwrap()
    }

    async fn write(&self, fence: FencingToken, count: i64) -> bool {
        FencedRegister::write(self, NAME, fence, count.to_string()).await.unwrap().is_admitted()
    }
}

#[test]
fn worker() {
    downstream::worker::<FencedRegister>();
}

on_every_topology! {
    async fn a_stopped_holder_is_refused(t: TestRedis) {
        downstream::a_stopped_holder_is_refused::<FencedRegister>(&t, "").await;
    }

    async fn only_a_seal_stops_a_write_between_read_and_write(t: TestRedis) {
        downstream::only_a_seal_stops_a_write_between_read_and_write::<FencedRegister>(&t, "").await;
    }

    async fn a_lock_whose_fence_was_lost_heals(t: TestRedis) {
        downstream::a_lock_whose_fence_was_lost_heals::<FencedRegister>(&t, "").await;
    }

    async fn equal_fences_pass_and_the_highest_stays(t: TestRedis) {
        downstream::equal_fences_pass_and_the_highest_stays::<FencedRegister>(&t, "").await;
    }

    async fn a_register_has_a_ttl_and_holds_any_bytes(t: TestRedis) {
        let register = FencedRegister::new(t.redis.clone(), Duration::from_secs(60));
        let fence = FencingToken::new(1).unwrap();
        assert_eq!(register.read("{x}").await.unwrap(), None);
        for value in [&b""[..], b"\0\xff", b"{}"] {
            assert!(register.write("{x}", fence, value).await.unwrap().is_admitted());
            assert_eq!(register.read("{x}").await.unwrap().as_deref(), Some(value));
        }
        let keys = t.keys().await;
        assert_eq!(keys.len(), 1);
        let ttl = t.ttl_ms(&keys[0]).await;
        assert!(ttl > 0 && ttl <= 60_000);
    }
}
