//! A window that opens with its first request. It ends with its key, so time passes by cutting the TTL.

use crate::common::{expire, key, many};
use crate::oracle::{Oracle, PERIOD, schedules};
use redis_patterns_core::{Args, Key, Redis};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{Decision, FixedWindow, RateLimiter};
use std::time::Duration;

const PERIOD_MS: u64 = PERIOD.as_millis() as u64;
/// Real time passes too while a TTL runs: a window this close to its end is ended by hand.
const CLOSE_MS: u64 = 60_000;

struct Run {
    redis: Redis,
    limiter: RateLimiter,
    subject: String,
    key: Key,
    now: u64,
    /// When the open window ends, and what it holds.
    window: Option<(u64, u64)>,
    oracle: Oracle,
}

impl Run {
    fn new(redis: &Redis, limit: u64, number: usize) -> Self {
        let policy = FixedWindow::new("test", many(limit), PERIOD).unwrap();
        let subject = format!("run-{number}");
        let (limiter, key) = (RateLimiter::new(redis.clone(), policy), key(redis, &subject));
        Self { redis: redis.clone(), limiter, subject, key, now: 0, window: None, oracle: Oracle::default() }
    }

    fn held(&self) -> u64 {
        self.window.map_or(0, |(_, held)| held)
    }

    async fn advance(&mut self, millis: u64) {
        self.now += millis;
        let Some((ends, _)) = self.window else { return };
        if self.now + CLOSE_MS < ends {
            let left = i64::try_from(ends - self.now).unwrap();
            let cut: u64 = self.redis.command("PEXPIRE", &[&self.key], &Args::new().int(left)).await.unwrap();
            assert_eq!(cut, 1, "the window is open");
        } else {
            self.now = self.now.max(ends);
            self.window = None;
            expire(&self.redis, &self.key).await;
        }
    }

    async fn check(&mut self, cost: u64) -> Decision {
        let decision = self.limiter.check_n(&self.subject, many(cost)).await.unwrap();
        if decision.is_allowed() {
            self.oracle.0.push((self.now, cost));
            let (ends, held) = self.window.unwrap_or((self.now + PERIOD_MS, 0));
            self.window = Some((ends, held + cost));
        }
        decision
    }
}

on_every_topology! {
    async fn a_window_from_its_first_request_is_the_oracle(t: TestRedis) {
        let mut windows = 0;
        for (number, (limit, steps)) in schedules(24).into_iter().enumerate() {
            let mut run = Run::new(&t.redis, limit, number);
            for (advance, cost) in steps {
                run.advance(advance / 1_000).await;
                windows += u32::from(run.window.is_none());
                let held = run.held();
                let decision = run.check(cost).await;
                assert_eq!(decision.is_allowed(), held + cost <= limit, "{held} held, {cost} asked of {limit}");
                assert_eq!(decision.remaining, limit - run.held());
                if let Some(wait) = decision.retry_after() {
                    let end = Duration::from_millis(run.window.unwrap().0 - run.now + 1);
                    assert!(wait <= end && wait + Duration::from_millis(CLOSE_MS) > end, "{wait:?} until {end:?}");
                }
            }
            assert!(run.oracle.worst(PERIOD_MS) < 2 * limit);
        }
        assert!(windows > 100, "only {windows} windows");
    }

    /// What was kept for the end of one window, and at once the whole of the next. Its first unit opened
    /// the first window a whole period ago, so one less than twice the limit is the most.
    async fn the_boundary_adversary_gets_twice_the_limit_less_one(t: TestRedis) {
        let mut run = Run::new(&t.redis, 100, 0);
        assert!(run.check(1).await.is_allowed());
        run.advance(PERIOD_MS - CLOSE_MS - 1).await;
        while run.check(1).await.is_allowed() {}
        run.advance(CLOSE_MS + 1).await;
        while run.check(1).await.is_allowed() {}
        let worst = run.oracle.worst(PERIOD_MS);
        println!("adversary: {worst} of 100 in the worst window across a boundary");
        assert_eq!(worst, 199);
    }
}
