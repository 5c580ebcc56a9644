//! One test per sentence of the README's promises.

use redis_patterns_core::{Args, Redis, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{FixedWindow, RateLimiter};
use std::num::NonZeroU64;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn limiter(redis: &Redis, limit: u64, period: Duration) -> RateLimiter {
    let policy = FixedWindow::new("test", NonZeroU64::new(limit).unwrap(), period).unwrap();
    RateLimiter::new(redis.clone(), policy)
}

on_every_topology! {
    async fn the_limit_is_admitted_and_no_more(t: TestRedis) {
        let limiter = limiter(&t.redis, 3, HOUR);
        for remaining in [2, 1, 0] {
            let decision = limiter.check("ann").await.unwrap();
            assert!(decision.is_allowed());
            assert_eq!((decision.limit, decision.remaining), (3, remaining));
            assert!(decision.reset_after <= HOUR + Duration::from_millis(1) && decision.reset_after > HOUR / 2);
        }
        let denied = limiter.check("ann").await.unwrap();
        assert!(!denied.is_allowed());
        assert_eq!(denied.retry_after(), Some(denied.reset_after));
    }

    async fn subjects_and_limits_of_other_names_count_apart(t: TestRedis) {
        let one = limiter(&t.redis, 1, HOUR);
        let other = FixedWindow::new("other", NonZeroU64::MIN, HOUR).unwrap();
        let other = RateLimiter::new(t.redis.clone(), other);
        assert!(one.check("ann").await.unwrap().is_allowed());
        assert!(one.check("bob").await.unwrap().is_allowed());
        assert!(other.check("ann").await.unwrap().is_allowed());
        assert!(!one.check("ann").await.unwrap().is_allowed());
    }

    async fn a_denial_changes_nothing(t: TestRedis) {
        let limiter = limiter(&t.redis, 1, HOUR);
        let _ = limiter.check("ann").await.unwrap();
        let key = t.redis.namespace().part("rl", &Tag::of("ann"), "test");
        let dump = async || t.redis.command::<String>("GET", &[&key], &Args::new()).await;
        let before = dump().await.unwrap();
        let expires: i64 = t.redis.command("PEXPIRETIME", &[&key], &Args::new()).await.unwrap();
        for _ in 0..20 {
            assert!(!limiter.check("ann").await.unwrap().is_allowed());
        }
        assert_eq!(dump().await.unwrap(), before);
        assert_eq!(t.redis.command::<i64>("PEXPIRETIME", &[&key], &Args::new()).await.unwrap(), expires);
        assert_eq!(t.keys().await, vec![key.as_str()]);
    }

    async fn the_window_is_not_extended_by_later_requests(t: TestRedis) {
        let limiter = limiter(&t.redis, 100, HOUR);
        let _ = limiter.check("ann").await.unwrap();
        let key = t.redis.namespace().part("rl", &Tag::of("ann"), "test");
        let expires: i64 = t.redis.command("PEXPIRETIME", &[&key], &Args::new()).await.unwrap();
        for _ in 0..20 {
            let _ = limiter.check("ann").await.unwrap();
        }
        assert_eq!(t.redis.command::<i64>("PEXPIRETIME", &[&key], &Args::new()).await.unwrap(), expires);
    }

    async fn a_window_that_ended_admits_again(t: TestRedis) {
        let limiter = limiter(&t.redis, 1, HOUR);
        assert!(limiter.check("ann").await.unwrap().is_allowed());
        assert!(!limiter.check("ann").await.unwrap().is_allowed());
        // The end of the window is the key's expiry, brought forward here instead of waited for.
        let key = t.redis.namespace().part("rl", &Tag::of("ann"), "test");
        t.redis.command::<()>("PEXPIREAT", &[&key], &Args::new().int(1)).await.unwrap();
        assert!(limiter.check("ann").await.unwrap().is_allowed());
    }

    async fn a_key_that_lost_its_ttl_gets_one_again(t: TestRedis) {
        let limiter = limiter(&t.redis, 2, HOUR);
        let key = t.redis.namespace().part("rl", &Tag::of("ann"), "test");
        for planted in [1, 2] {
            t.redis.command::<()>("SET", &[&key], &Args::new().int(planted)).await.unwrap();
            let _ = limiter.check("ann").await.unwrap();
            let ttl: i64 = t.redis.command("PTTL", &[&key], &Args::new()).await.unwrap();
            assert!(ttl > 0, "still immortal at count {planted}");
        }
    }
}

#[test]
fn a_policy_out_of_range_is_refused_before_anything_is_sent() {
    let limit = NonZeroU64::MIN;
    assert!(FixedWindow::new("", limit, HOUR).is_err());
    assert!(FixedWindow::new(&"x".repeat(65), limit, HOUR).is_err());
    assert!(FixedWindow::new("x", limit, Duration::from_nanos(999_999)).is_err());
    assert!(FixedWindow::new("x", limit, Duration::MAX).is_err());
    assert!(FixedWindow::new("x", NonZeroU64::MAX, HOUR).is_err());
}
