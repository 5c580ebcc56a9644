//! Faults seen in other rate limiters, each with a test of its own here.

mod common;

use common::{HOUR, count, expire, expires_at_ms, hourly, key, many, plant, state};
use redis_patterns_core::{Args, Clock, Redis, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{FixedWindow, RateLimiter};
use std::time::Duration;

on_every_topology! {
    /// INCR and EXPIRE apart, and the client dies between them: the subject is locked out for good.
    async fn an_immortal_key_is_healed_whether_it_admits_or_denies(t: TestRedis) {
        let limiter = hourly(&t.redis, 5);
        let key = key(&t.redis, "ann");
        for planted in ["0", "1", "4", "5", "6", "9999"] {
            plant(&t.redis, &key, planted).await;
            let _ = limiter.check("ann").await.unwrap();
            let ttl = t.ttl_ms(key.as_str()).await;
            assert!(ttl > 0 && ttl <= 3_600_000, "still immortal at {planted}: {ttl}");
        }
    }

    /// "The count equals what I added, so the window is new" re-arms the TTL after a refund to zero.
    async fn a_count_equal_to_what_was_added_is_not_a_new_window(t: TestRedis) {
        let limiter = hourly(&t.redis, 5);
        let key = key(&t.redis, "ann");
        plant(&t.redis, &key, "0").await;
        t.redis.command::<()>("PEXPIRE", &[&key], &Args::new().int(100_000)).await.unwrap();
        let ends = expires_at_ms(&t.redis, &key).await;
        let decision = limiter.check("ann").await.unwrap();
        assert_eq!(count(&t.redis, &key).await, Some(1));
        assert_eq!(expires_at_ms(&t.redis, &key).await, ends, "the window was opened again");
        assert!(decision.reset_after <= Duration::from_secs(100));
    }

    /// PTTL of -1 read as an unsigned number: every later check fails, for good.
    async fn a_key_without_a_ttl_is_no_error(t: TestRedis) {
        let limiter = hourly(&t.redis, 5);
        plant(&t.redis, &key(&t.redis, "ann"), "5").await;
        let denied = limiter.check("ann").await.unwrap();
        assert_eq!(denied.retry_after(), Some(HOUR), "an untold end is a whole period away");
    }

    /// Every denied request counts: who keeps trying is locked out far past the window.
    async fn a_denial_charges_nothing(t: TestRedis) {
        let limiter = hourly(&t.redis, 3);
        let key = key(&t.redis, "ann");
        for _ in 0..3 {
            assert!(limiter.check("ann").await.unwrap().is_allowed());
        }
        let before = state(&t.redis, &key).await;
        for _ in 0..50 {
            assert!(!limiter.check("ann").await.unwrap().is_allowed());
        }
        assert_eq!(state(&t.redis, &key).await, before);
        expire(&t.redis, &key).await;
        assert!(limiter.check("ann").await.unwrap().is_allowed(), "the denials were charged to the next window");
    }

    /// Expiry by the client's clock: a client that is behind has no limit at all.
    async fn a_clients_clock_decides_nothing(t: TestRedis) {
        let skewed = async |micros| {
            let clock = Clock::Injected(TestClock::at_micros(micros));
            let redis = Redis::builder(t.url()).namespace(t.redis.namespace().clone()).clock(clock);
            Box::pin(redis.connect()).await.unwrap()
        };
        let behind = skewed(1).await;
        let ahead = skewed(4_000_000_000_000_000).await;
        let mut admitted = 0;
        let key = key(&t.redis, "ann");
        let mut ends = None;
        for _ in 0..4 {
            for redis in [&behind, &t.redis, &ahead] {
                admitted += u32::from(hourly(redis, 5).check("ann").await.unwrap().is_allowed());
                let now_ends = expires_at_ms(&t.redis, &key).await;
                assert_eq!(*ends.get_or_insert(now_ends), now_ends);
            }
        }
        assert_eq!(admitted, 5);
        behind.close().await;
        ahead.close().await;
    }

    /// Ids that are patterns or hold separators reach the counts of others.
    async fn an_id_is_neither_a_pattern_nor_a_separator(t: TestRedis) {
        let limiter = hourly(&t.redis, 1);
        for id in ["ann", "ann:test", "an?", "a*", "*", "[a]nn", "}:test", "{ann}", "ann}:test", ""] {
            assert!(limiter.check(id).await.unwrap().is_allowed(), "{id:?} met another's count");
        }
        assert!(!limiter.check("ann").await.unwrap().is_allowed());
        assert_eq!(t.keys().await.len(), 10);
    }

    /// Subtraction of unsigned numbers wraps, and 64-bit counts lose digits in Lua.
    async fn numbers_at_the_edge_neither_wrap_nor_fail(t: TestRedis) {
        let key = key(&t.redis, "ann");
        let largest = 1_u64 << 53;
        let edge = largest.to_string();
        let last_but_one = (largest - 1).to_string();
        for (limit, planted, allowed, remaining) in [
            (5, "5", false, 0),
            (5, "6", false, 0),
            (5, "9223372036854775807", false, 0),
            (largest, &last_but_one, true, 0),
            (largest, &edge, false, 0),
            (largest, "9223372036854775807", false, 0),
            (largest, "0", true, largest - 1),
        ] {
            plant(&t.redis, &key, planted).await;
            let decision = hourly(&t.redis, limit).check("ann").await.unwrap();
            assert_eq!((decision.is_allowed(), decision.remaining), (allowed, remaining), "{planted} of {limit}");
        }
    }

    /// A wrong argument or a wrong value taken for an outage lets everybody in, once callers fail open.
    async fn a_key_of_another_type_is_an_error_and_no_outage(t: TestRedis) {
        let key = key(&t.redis, "ann");
        t.redis.command::<()>("RPUSH", &[&key], &Args::new().bytes("x")).await.unwrap();
        let error = hourly(&t.redis, 5).check("ann").await.unwrap_err();
        assert!(!error.is_outage(), "{error}");
        plant(&t.redis, &key, "many").await;
        let error = hourly(&t.redis, 5).check("ann").await.unwrap_err();
        assert!(!error.is_outage(), "{error}");
        assert_eq!(t.keys().await.len(), 1);
    }

    /// A window read after its end gives a negative or zero wait: the caller retries at once, for ever.
    async fn a_denial_names_a_wait_that_lies_ahead_and_within_the_period(t: TestRedis) {
        let limiter = hourly(&t.redis, 1);
        let _ = limiter.check("ann").await.unwrap();
        let wait = limiter.check("ann").await.unwrap().retry_after().unwrap();
        assert!(wait > Duration::ZERO && wait <= HOUR, "{wait:?}");
    }

    /// The reply's numbers in each other's places.
    async fn what_remains_and_what_was_used_are_the_limit(t: TestRedis) {
        let limiter = hourly(&t.redis, 10);
        let key = key(&t.redis, "ann");
        for _ in 0..12 {
            let decision = limiter.check("ann").await.unwrap();
            let used = count(&t.redis, &key).await.unwrap();
            assert_eq!(decision.remaining + used, decision.limit);
        }
    }

    /// A period below the resolution becomes 0, the server refuses the TTL, and a limiter that fails
    /// open admits everybody.
    async fn a_period_is_never_rounded_to_nothing_or_down(t: TestRedis) {
        assert!(FixedWindow::new("test", many(1), Duration::from_micros(999)).is_err());
        let odd = FixedWindow::new("test", many(1), HOUR + Duration::from_nanos(1)).unwrap();
        let decision = RateLimiter::new(t.redis.clone(), odd).check("ann").await.unwrap();
        assert_eq!(decision.reset_after, HOUR + Duration::from_millis(1));
    }
}
