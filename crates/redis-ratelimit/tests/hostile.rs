//! Ids that try to break out of their key, meet another's, or choose a slot.

use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{FixedWindow, RateLimiter};
use std::num::NonZeroU64;
use std::time::Duration;

on_every_topology! {
    async fn every_hostile_id_has_a_count_of_its_own(t: TestRedis) {
        let policy = FixedWindow::new("h", NonZeroU64::MIN, Duration::from_secs(3_600)).unwrap();
        let limiter = RateLimiter::new(t.redis.clone(), policy);
        let ids = hostile::ids();
        for id in &ids {
            assert!(limiter.check(id).await.unwrap().is_allowed(), "an id met the count of another");
        }
        for id in &ids {
            assert!(!limiter.check(id).await.unwrap().is_allowed(), "an id lost its count");
        }
        assert_eq!(t.keys().await.len(), ids.len());
    }

    async fn hostile_names_of_limits_stay_apart(t: TestRedis) {
        let names = ["a", "a:", ":a", "{a}", "}", "%", "%3A", "a\0", "*"];
        for name in names {
            let policy = FixedWindow::new(name, NonZeroU64::MIN, Duration::from_secs(3_600)).unwrap();
            assert!(RateLimiter::new(t.redis.clone(), policy).check("id").await.unwrap().is_allowed());
        }
        assert_eq!(t.keys().await.len(), names.len());
    }
}
