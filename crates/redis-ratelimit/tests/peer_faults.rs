//! Faults seen in other rate limiters, each with a test of its own here.
//!
//! Those that need more than a server are where their harness is:
//!
//! | fault | test |
//! |---|---|
//! | a script unknown to a node of a cluster; keys on two slots | `cluster` |
//! | a failover that loses counts, unnoticed | `cluster`, which counts them |
//! | a retry of the client that charges twice | `faults` |
//! | copies of a limit in each process that admit as many times the limit | `overshoot`, `leases` |
//! | a cache of denials that ignores the cost, or grows without end | `denial_cache` |
//! | a handler that runs before the check has answered | `http` |
//! | a slow server that holds up every request | `slow_redis` |
//! | two buckets sold as a sliding window; a bucket sold as a limit per window | `bounds` |
//! | a refund or a commit that lands on the next window | `policies`, `reservations` |
//! | a limit that denies after others were charged | `several`, `denial_is_free` |
//! | a killed holder whose slot is never free; a lease that nobody extends | `concurrency` |
//! | a client's clock sent as an argument; a global index beside the subjects' keys | `wire` |
//! | a replica that computes again with its own clock | `wire` |

mod common;

use common::{
    HOUR, clocked, clocked_at, count, each_limiter, expire, expires_at_ms, hourly, key, key_of, log_key,
    many, plant, state,
};
use redis_patterns_core::{Args, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{
    Concurrency, ConcurrencyLimiter, Entry, Error, FixedWindow, RateLimiter, SlidingLog, TokenBucket,
};
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
        assert!(decision.reset_after <= Duration::from_millis(100_001));
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
        assert!(wait > Duration::ZERO && wait <= HOUR + Duration::from_millis(1), "{wait:?}");
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

    /// 8 of 10 used, 5 asked and denied: the counter stands at 13, and the next request for 1 is
    /// denied as well.
    async fn a_denied_cost_is_not_charged(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            assert!(limiter.check_n(&kind, many(8)).await.unwrap().is_allowed());
            assert!(!limiter.check_n(&kind, many(5)).await.unwrap().is_allowed());
            let one = limiter.check(&kind).await.unwrap();
            assert!(one.is_allowed(), "{kind}: the denial was charged");
            assert_eq!(one.remaining, 1, "{kind}");
        }
    }

    /// "Is anything left?" instead of "is this much left?": 9 of 10 used, 9 asked, 18 counted.
    async fn the_check_looks_at_the_cost(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            assert!(limiter.check_n(&kind, many(9)).await.unwrap().is_allowed());
            assert!(!limiter.check_n(&kind, many(9)).await.unwrap().is_allowed(), "{kind}");
            assert_eq!(limiter.peek(&kind).await.unwrap().remaining, 1, "{kind}");
        }
    }

    /// A cost above the limit gets a finite wait that is never enough, or, at 2^63, an error of the
    /// server that a caller who fails open takes for an outage.
    async fn an_impossible_cost_is_named_as_such(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 10) {
            for cost in [11, 50, 1 << 53, 1 << 63, u64::MAX] {
                let error = limiter.check_n(&kind, many(cost)).await.unwrap_err();
                assert!(matches!(error, Error::CostExceedsLimit { .. }) && !error.is_outage(), "{kind}: {error}");
            }
        }
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    /// Rates in floating point: at one frozen instant many rates admit one less than their burst.
    async fn a_bucket_at_a_frozen_instant_admits_its_burst(t: TestRedis) {
        let (redis, _frozen) = clocked(&t).await;
        for rate in [1, 2, 3, 7, 9, 11, 13, 49, 97, 103] {
            // The clock stands still, a key's TTL does not: a unit must last longer than the test.
            for seconds in [3_600, 25_200, 86_400] {
                let bucket = TokenBucket::new("test", many(rate), Duration::from_secs(seconds)).unwrap();
                let limiter = RateLimiter::new(redis.clone(), bucket);
                let subject = format!("{rate}/{seconds}");
                let mut admitted = 0;
                for _ in 0..rate + 2 {
                    admitted += u64::from(limiter.check(&subject).await.unwrap().is_allowed());
                }
                assert_eq!(admitted, rate, "{subject}");
            }
        }
        redis.close().await;
    }

    /// A partial grant after 1.7 units came back takes the 0.7 too.
    async fn a_partial_grant_burns_no_fraction(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let bucket = TokenBucket::new("test", many(10), Duration::from_secs(10)).unwrap();
        let limiter = RateLimiter::new(redis.clone(), bucket);
        assert!(limiter.check_n("ann", many(10)).await.unwrap().is_allowed());
        clock.advance(Duration::from_millis(1_700));
        assert_eq!(limiter.at_most("ann", many(5)).await.unwrap().charged, 1);
        let wait = limiter.check("ann").await.unwrap().retry_after();
        assert_eq!(wait, Some(Duration::from_millis(300)), "the fraction was burnt");
        redis.close().await;
    }

    /// A rate above one per millisecond becomes a wait of 0 ms, which is no TTL: always open.
    async fn a_rate_faster_than_the_resolution_is_kept(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let fast = TokenBucket::new("test", many(1_500_000), Duration::from_secs(1)).unwrap();
        // The clock stands still, a key's TTL does not: a bucket of a minute outlasts the test.
        let limiter = RateLimiter::new(redis.clone(), fast.burst(many(90_000_000)).unwrap());
        assert!(limiter.check_n("ann", many(90_000_000)).await.unwrap().is_allowed());
        let denied = limiter.check_n("ann", many(3)).await.unwrap();
        assert_eq!(denied.retry_after(), Some(Duration::from_micros(2)));
        clock.advance(Duration::from_micros(2));
        assert!(limiter.check_n("ann", many(3)).await.unwrap().is_allowed());
        redis.close().await;
    }

    /// Two requests of one microsecond with one member: the second overwrites the first.
    async fn takes_of_one_microsecond_are_all_counted(t: TestRedis) {
        let (redis, _frozen) = clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 50) {
            let mut admitted = 0;
            for _ in 0..60 {
                admitted += u32::from(limiter.check(&kind).await.unwrap().is_allowed());
            }
            assert_eq!(admitted, 50, "{kind}");
        }
        redis.close().await;
    }

    /// One entry per unit of cost, or one per denied request: the caller decides how much memory goes.
    async fn a_log_has_one_entry_per_take_and_never_more_than_its_limit(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let log = SlidingLog::new("test", many(1_000_000), HOUR).unwrap();
        let limiter = RateLimiter::new(redis.clone(), log);
        let entries = async |subject: &str| {
            redis.command::<u64>("ZCARD", &[&log_key(&redis, subject)], &Args::new()).await.unwrap()
        };
        assert!(limiter.check_n("ann", many(999_999)).await.unwrap().is_allowed());
        clock.advance(Duration::from_secs(1));
        for _ in 0..50 {
            let _ = limiter.check_n("ann", many(2)).await.unwrap();
        }
        assert_eq!(entries("ann").await, 1, "a cost or a denial became entries");
        let small = RateLimiter::new(redis.clone(), SlidingLog::new("test", many(5), HOUR).unwrap());
        for _ in 0..60 {
            clock.advance(HOUR / 7);
            let _ = small.check("bob").await.unwrap();
            assert!(entries("bob").await <= 5, "a log outgrew its limit");
        }
        redis.close().await;
    }

    /// The log is pruned on admission only: a denial reads entries that are over and names a wait in
    /// the past.
    async fn a_denial_does_not_count_what_is_over(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let log = SlidingLog::new("test", many(10), HOUR).unwrap();
        let limiter = RateLimiter::new(redis.clone(), log);
        assert!(limiter.check_n("ann", many(4)).await.unwrap().is_allowed());
        clock.advance(HOUR / 2);
        assert!(limiter.check_n("ann", many(6)).await.unwrap().is_allowed());
        clock.advance(HOUR * 3 / 4);
        let denied = limiter.check_n("ann", many(5)).await.unwrap();
        assert_eq!(denied.retry_after(), Some(HOUR / 4));
        assert_eq!(denied.remaining, 4);
        redis.close().await;
    }

    /// A TTL cut to whole seconds, or down, ends before the debt does: free units.
    async fn a_key_outlives_what_it_holds(t: TestRedis) {
        static TIME: Script =
            Script::new("test/time", "#!lua\n-- time: of the server.\n-- KEYS[1] any\nreturn redis.call('TIME')");
        for (limiter, kind) in each_limiter(&t.redis, 7) {
            let key = key_of(&t.redis, &kind);
            let before: Vec<u64> = t.redis.run(&TIME, &[&key], &Args::new()).await.unwrap();
            let reset = limiter.check(&kind).await.unwrap().reset_after;
            let over_us = u128::from(before[0] * 1_000_000 + before[1]) + reset.as_micros();
            // A key is there until the millisecond of its end is over.
            let gone_us = u128::from(expires_at_ms(&t.redis, &key).await.unsigned_abs() + 1) * 1_000;
            assert!(gone_us >= over_us, "{kind}: gone {} us too early", over_us - gone_us);
        }
    }

    /// Floating point loses microseconds from 2048 on, 32 bits of seconds are over in 2038.
    async fn no_kind_is_a_time_bomb(t: TestRedis) {
        // 2050, and the last whole year before a bucket's numbers would pass 2^53.
        for (year, micros) in [("2050", 2_524_608_000_000_001), ("2111", 4_449_513_600_000_001)] {
            let (redis, clock) = clocked_at(&t, micros).await;
            for (limiter, kind) in each_limiter(&redis, 7) {
                let subject = format!("{kind} {year}");
                for left in (0..7).rev() {
                    let decision = limiter.check(&subject).await.unwrap();
                    assert_eq!((decision.is_allowed(), decision.remaining), (true, left), "{subject}");
                }
                let wait = limiter.check(&subject).await.unwrap().retry_after().unwrap();
                assert!(wait > Duration::ZERO && wait <= 24 * HOUR, "{subject}: {wait:?}");
                if kind != "FixedWindow" {
                    clock.advance(wait - Duration::from_micros(1));
                    assert!(!limiter.check(&subject).await.unwrap().is_allowed(), "{subject}: too early");
                    clock.advance(Duration::from_micros(1));
                    assert!(limiter.check(&subject).await.unwrap().is_allowed(), "{subject}: too late");
                }
            }
            redis.close().await;
        }
    }

    /// Eviction forgets a subject whole: it starts anew, with the limit and not more, and nothing fails.
    async fn an_evicted_key_starts_anew(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 3) {
            for _ in 0..2 {
                for left in (0..3).rev() {
                    assert_eq!(limiter.check(&kind).await.unwrap().remaining, left, "{kind}");
                }
                assert!(!limiter.check(&kind).await.unwrap().is_allowed(), "{kind}");
                let evicted: u64 =
                    t.redis.command("DEL", &[&key_of(&t.redis, &kind)], &Args::new()).await.unwrap();
                assert_eq!(evicted, 1, "{kind}");
            }
        }
    }

    /// A clock set back by an hour (a failover to a host with another clock) holds debts for an hour.
    async fn a_bucket_outlives_a_clock_that_was_set_back(t: TestRedis) {
        let minute = Duration::from_secs(60);
        let bucket = TokenBucket::new("test", many(6), minute).unwrap();
        let (before, _) = clocked_at(&t, 1_800_003_600_000_000).await;
        let (after, clock) = clocked_at(&t, 1_800_000_000_000_000).await;
        let spend = RateLimiter::new(before.clone(), bucket.clone());
        let limiter = RateLimiter::new(after.clone(), bucket);
        assert!(spend.check_n("ann", many(6)).await.unwrap().is_allowed());
        let wait = limiter.check("ann").await.unwrap().retry_after();
        assert_eq!(wait, Some(Duration::from_secs(10)), "the debt is what it was");
        clock.advance(Duration::from_secs(10));
        assert!(limiter.check("ann").await.unwrap().is_allowed(), "the debt is held by the old clock");
        before.close().await;
        after.close().await;
    }

    /// A refund to a bucket that owes nothing else is dropped, since there is no debt left to store.
    async fn a_refund_to_an_idle_bucket_is_not_lost(t: TestRedis) {
        let (redis, _frozen) = clocked(&t).await;
        for (limiter, kind) in each_limiter(&redis, 10) {
            let mut only = limiter.check_n(&kind, many(3)).await.unwrap();
            assert_eq!(limiter.refund(&kind, &mut only, many(3)).await.unwrap(), 3, "{kind}");
            assert!(limiter.check_n(&kind, many(10)).await.unwrap().is_allowed(), "{kind}: the refund was lost");
        }
        redis.close().await;
    }

    /// A value of another type makes the number of holders no number, and everybody is let in.
    async fn slots_of_another_type_let_nobody_in(t: TestRedis) {
        let slots = t.redis.namespace().part("rl-slots", &Tag::of("ann"), "slots");
        t.redis.command::<()>("RPUSH", &[&slots], &Args::new().bytes("x")).await.unwrap();
        let concurrency = Concurrency::new("slots", many(3), HOUR).unwrap();
        let limiter = ConcurrencyLimiter::new(t.redis.clone(), concurrency);
        let error = limiter.enter("ann").await.unwrap_err();
        assert!(!error.is_outage(), "{error}");
    }

    /// Holders scored by their own clocks: one that is ahead holds for longer, one that is behind not at all.
    async fn a_holders_clock_decides_nothing(t: TestRedis) {
        let concurrency = Concurrency::new("slots", many(2), HOUR).unwrap();
        let limiter = ConcurrencyLimiter::new(t.redis.clone(), concurrency);
        let Entry::Admitted(slot) = limiter.enter("ann").await.unwrap() else { panic!("it is free") };
        let slots = t.redis.namespace().part("rl-slots", &Tag::of("ann"), "slots");
        let args = Args::new().int(0).int(0).word("WITHSCORES");
        let lease: Vec<String> = t.redis.command("ZRANGE", &[&slots], &args).await.unwrap();
        let expires = expires_at_ms(&t.redis, &slots).await;
        let ends = lease[1].parse::<f64>().unwrap() as i64 / 1_000;
        // Both by the server: the key goes with its last lease.
        assert!((0..=10).contains(&(expires - ends)), "{expires}, {ends}");
        assert!(slot.release().await.unwrap());
    }
}
