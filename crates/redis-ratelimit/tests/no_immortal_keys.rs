//! Every key has a TTL after any mix of operations, and one that lost it gets it back.

mod common;

use common::{HOUR, all_kinds, each_limiter, key_of, many};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Concurrency, ConcurrencyLimiter, Entry, RateLimiter, Reserved};
use std::num::NonZeroU64;
use std::time::Duration;

/// Longer than any period, window or block of these tests.
const LONGEST_MS: i64 = 86_400_000 + 1;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

async fn any_operation(limiter: &RateLimiter, subject: &str, random: &mut Random) {
    let cost = NonZeroU64::new(random.below(9) + 1).unwrap();
    match random.below(14) {
        0 => _ = limiter.reset(subject).await.unwrap(),
        1 => _ = limiter.peek(subject).await.unwrap(),
        2 | 3 => _ = limiter.at_most(subject, cost).await.unwrap(),
        4 => _ = limiter.penalize(subject, cost).await.unwrap(),
        5 if random.below(8) == 0 => {
            _ = limiter.block_for(subject, Duration::from_millis(random.below(5_000))).await.unwrap();
        }
        6 | 7 => {
            let mut decision = limiter.at_most(subject, cost).await.unwrap();
            let _ = limiter.refund(subject, &mut decision, cost).await.unwrap();
        }
        8..=10 => {
            let hold = Duration::from_millis(random.below(3_000));
            if let Reserved::Held(mut held) = limiter.reserve(subject, cost, hold).await.unwrap() {
                match random.below(3) {
                    0 => _ = held.commit(random.below(9)).await.unwrap(),
                    1 => _ = held.cancel().await.unwrap(),
                    // As a process that dies: nobody settles it.
                    _ => std::mem::forget(held),
                }
            }
        }
        _ => _ = limiter.check_n(subject, cost).await.unwrap(),
    }
}

async fn every_key_ends(t: &TestRedis, at_least: usize) {
    let keys = t.keys().await;
    assert!(keys.len() >= at_least, "too little happened: {keys:?}");
    for key in keys {
        let ttl = t.ttl_ms(&key).await;
        // One may have ended since the keys were listed.
        assert!(ttl == -2 || (0..=LONGEST_MS).contains(&ttl), "{key} lives for {ttl} ms");
    }
}

on_every_topology! {
    async fn after_any_mix_of_operations(t: TestRedis) {
        let mut random = Random(7);
        for (limiter, kind) in each_limiter(&t.redis, 20) {
            for _ in 0..150 {
                let subject = format!("{kind}-{}", random.below(5));
                any_operation(&limiter, &subject, &mut random).await;
            }
        }
        let limiter = all_kinds(&t.redis, 20);
        for _ in 0..150 {
            any_operation(&limiter, &format!("all-{}", random.below(5)), &mut random).await;
        }
        every_key_ends(&t, 20).await;
    }

    async fn of_slots_too(t: TestRedis) {
        let slots = Concurrency::new("slots", many(3), Duration::from_secs(60)).unwrap();
        let limiter = ConcurrencyLimiter::new(t.redis.clone(), slots);
        for round in 0..20 {
            let Entry::Admitted(slot) = limiter.enter("ann").await.unwrap() else { panic!("a slot is free") };
            every_key_ends(&t, 1).await;
            match round % 2 {
                0 => assert!(slot.release().await.unwrap()),
                _ => drop(slot),
            }
            eventually("the slot is free", async || t.keys().await.is_empty()).await;
        }
    }

    async fn a_key_that_lost_its_ttl_gets_one_again(t: TestRedis) {
        for (limiter, kind) in each_limiter(&t.redis, 3) {
            let key = key_of(&t.redis, &kind);
            let _ = limiter.check(&kind).await.unwrap();
            for allowed in [true, true, false, false] {
                t.redis.command::<()>("PERSIST", &[&key], &Args::new()).await.unwrap();
                assert_eq!(limiter.check(&kind).await.unwrap().is_allowed(), allowed, "{kind}");
                assert!(t.ttl_ms(key.as_str()).await > 0, "{kind}: still immortal");
            }
            t.redis.command::<()>("PERSIST", &[&key], &Args::new()).await.unwrap();
            let _ = limiter.peek(&kind).await.unwrap();
            assert!(t.ttl_ms(key.as_str()).await > 0, "{kind}: still immortal");
        }
    }

    async fn slots_blocks_and_reservations_that_lost_their_ttl_get_one_again(t: TestRedis) {
        let key = |pattern| t.redis.namespace().part(pattern, &Tag::of("ann"), "slots");
        let persist = async |key: &redis_patterns_core::Key| {
            assert_eq!(t.redis.command::<i64>("PERSIST", &[key], &Args::new()).await.unwrap(), 1);
        };
        let limit = Concurrency::new("slots", many(1), HOUR).unwrap();
        let limiter = ConcurrencyLimiter::new(t.redis.clone(), limit);
        let Entry::Admitted(slot) = limiter.enter("ann").await.unwrap() else { panic!("it is free") };
        persist(&key("rl-slots")).await;
        assert!(matches!(limiter.enter("ann").await.unwrap(), Entry::Denied(_)));
        assert!(t.ttl_ms(key("rl-slots").as_str()).await > 0);
        assert!(slot.release().await.unwrap());

        let limiter = RateLimiter::new(t.redis.clone(), common::named("SlidingLog", "slots", 5));
        assert_eq!(limiter.block_for("ann", HOUR).await.unwrap(), HOUR);
        persist(&key("rl-block")).await;
        assert_eq!(limiter.block_for("ann", Duration::from_secs(9)).await.unwrap(), Duration::from_secs(9));
        assert!(t.ttl_ms(key("rl-block").as_str()).await > 0);
        persist(&key("rl-block")).await;
        let denied = limiter.check("ann").await.unwrap();
        assert!(denied.retry_after().is_some_and(|wait| wait <= HOUR + Duration::from_millis(1)), "{denied:?}");
        assert!(t.ttl_ms(key("rl-block").as_str()).await > 0);
        assert!(limiter.reset("ann").await.unwrap());

        let Reserved::Held(one) = limiter.reserve("ann", many(1), HOUR).await.unwrap() else { panic!("there is room") };
        persist(&key("rl-log-holds")).await;
        let Reserved::Held(two) = limiter.reserve("ann", many(1), HOUR).await.unwrap() else { panic!("there is room") };
        assert!(t.ttl_ms(key("rl-log-holds").as_str()).await > 0);
        let _ = (one.cancel().await.unwrap(), two.cancel().await.unwrap());
    }
}
