//! Every script run twice with the same arguments: what its `replay` line says.

mod common;

use common::{KINDS, state};
use redis_patterns_core::{Args, FromReply, Key, Redis, Script, Tag, script};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static CHECK: Script = script!(
    "check", "../src/scripts/check.lua",
    parts: "../src/scripts/fixed_window.lua", "../src/scripts/token_bucket.lua",
    "../src/scripts/sliding_log.lua", "../src/scripts/buckets.lua", "../src/scripts/sliding_window.lua",
    "../src/scripts/approximate_window.lua", "../src/scripts/slots.lua"
);
static REFUND: Script = script!(
    "refund", "../src/scripts/refund.lua",
    parts: "../src/scripts/fixed_window.lua", "../src/scripts/token_bucket.lua",
    "../src/scripts/sliding_log.lua", "../src/scripts/buckets.lua", "../src/scripts/sliding_window.lua",
    "../src/scripts/approximate_window.lua", "../src/scripts/slots.lua"
);
static BLOCK: Script = script!("block", "../src/scripts/block.lua");
static EXTEND: Script = script!("extend", "../src/scripts/extend.lua");

const HOUR_US: i64 = 3_600_000_000;
const NOW_US: i64 = 1_800_000_000_000_000;

/// One limit of 5 an hour under test.
struct Limit<'a> {
    redis: &'a Redis,
    kind: &'static str,
    keys: [Key; 3],
}

impl<'a> Limit<'a> {
    fn of(redis: &'a Redis, kind: &'static str) -> Self {
        let key = |pattern| redis.namespace().part(pattern, &Tag::of(kind), "test");
        Self { redis, kind, keys: [key("state"), key("block"), key("holds")] }
    }

    fn rule(&self, args: Args) -> Args {
        let (part, second, third) = match self.kind {
            "FixedWindow" => ("fixed_window", HOUR_US / 1_000, 0),
            "TokenBucket" => ("token_bucket", HOUR_US / 5, 1),
            "SlidingLog" => ("sliding_log", HOUR_US, 0),
            "Calendar" => ("sliding_window", HOUR_US, 0),
            "SlidingWindow" => ("sliding_window", HOUR_US / 10, HOUR_US),
            "Slots" => ("slots", HOUR_US, 0),
            _ => ("approximate_window", HOUR_US / 1_000, 0),
        };
        args.word(part).int(5).int(second).int(third)
    }

    async fn run<R: FromReply>(&self, script: &Script, args: Args) -> R {
        self.redis.run(script, &self.keys.each_ref(), &args).await.unwrap()
    }

    /// Taken, left, wait, reset, mark.
    async fn check(&self, least: i64, most: i64, id: &str, hold_us: i64) -> [u64; 5] {
        let args = self.rule(Args::new().int(NOW_US).bytes(id).int(hold_us).int(1).int(1));
        self.run::<Vec<u64>>(&CHECK, args.int(least).int(most)).await.try_into().unwrap()
    }

    async fn refund(&self, units: i64, id: &str, reserved: i64, mark: u64) -> i64 {
        let args = Args::new().int(NOW_US).int(units).bytes(id).int(reserved).int(units.max(reserved));
        let back: Vec<i64> = self.run(&REFUND, self.rule(args).int(mark.cast_signed())).await;
        back[0]
    }

    async fn state(&self) -> (Option<bytes::Bytes>, i64) {
        state(self.redis, &self.keys[0]).await
    }
}

on_every_topology! {
    async fn a_take_takes_again_until_there_is_too_little(t: TestRedis) {
        for limit in KINDS.map(|kind| Limit::of(&t.redis, kind)) {
            for (taken, left) in [(2, 3), (2, 1), (0, 1), (0, 1)] {
                let before = limit.state().await;
                let reply = limit.check(2, 2, "", 0).await;
                assert_eq!((reply[0], reply[1]), (taken, left), "{}", limit.kind);
                assert_eq!(reply[2] > 0, taken == 0, "{}: a wait belongs to a denial", limit.kind);
                assert_eq!(limit.state().await == before, taken == 0, "{}", limit.kind);
            }
        }
    }

    async fn a_slot_of_one_holder_is_one_slot(t: TestRedis) {
        let limit = Limit::of(&t.redis, "Slots");
        for _ in 0..2 {
            assert_eq!(limit.check(1, 1, "holder", 0).await[..3], [1, 4, 0]);
        }
        assert_eq!(t.redis.command::<u64>("ZCARD", &[&limit.keys[0]], &Args::new()).await.unwrap(), 1);
        assert_eq!((limit.refund(1, "holder", 0, 0).await, limit.refund(1, "holder", 0, 0).await), (1, 0));
    }

    async fn a_look_looks_again(t: TestRedis) {
        for limit in KINDS.into_iter().chain(["Slots"]).map(|kind| Limit::of(&t.redis, kind)) {
            for _ in 0..2 {
                let reply = limit.check(1, 0, "", 0).await;
                assert_eq!(reply[..4], [0, 5, 0, 0], "{}", limit.kind);
                assert_eq!(limit.state().await, (None, -2), "{}", limit.kind);
            }
        }
    }

    async fn a_refund_gives_back_again_and_never_more_than_is_held(t: TestRedis) {
        for limit in KINDS.map(|kind| Limit::of(&t.redis, kind)) {
            let mark = limit.check(3, 3, "", 0).await[4];
            for back in [2, 1, 0, 0] {
                assert_eq!(limit.refund(2, "", 0, mark).await, back, "{}", limit.kind);
                assert_ne!(limit.state().await.1, -1, "{}: immortal", limit.kind);
            }
        }
    }

    async fn a_refund_of_what_is_not_there_makes_no_key(t: TestRedis) {
        for limit in KINDS.into_iter().chain(["Slots"]).map(|kind| Limit::of(&t.redis, kind)) {
            assert_eq!(limit.refund(2, "nobody", 0, 1).await, 0, "{}", limit.kind);
            assert_eq!(limit.refund(2, "nobody", 3, 1).await, -1, "{}", limit.kind);
            assert_eq!(limit.state().await, (None, -2), "{}", limit.kind);
        }
    }

    async fn a_reservation_is_settled_once(t: TestRedis) {
        for limit in KINDS.map(|kind| Limit::of(&t.redis, kind)) {
            let mark = limit.check(4, 4, "work", HOUR_US).await[4];
            assert_eq!(limit.refund(3, "work", 4, mark).await, 3, "{}", limit.kind);
            let settled = limit.state().await;
            assert_eq!(limit.refund(3, "work", 4, mark).await, -1, "{}", limit.kind);
            assert_eq!(limit.state().await, settled, "{}", limit.kind);
        }
    }

    async fn a_block_blocks_again_and_an_extension_extends_again(t: TestRedis) {
        let limit = Limit::of(&t.redis, "Slots");
        for span in [60_000, 60_000, 10] {
            let left: Vec<i64> = t.redis.run(&BLOCK, &[&limit.keys[1]], &Args::new().int(span)).await.unwrap();
            assert!((50_000..=60_000).contains(&left[0]), "{left:?}");
        }
        t.redis.command::<()>("UNLINK", &[&limit.keys[1]], &Args::new()).await.unwrap();
        let extend = Args::new().int(NOW_US).bytes("holder").int(HOUR_US);
        for held in [false, true, true] {
            if held {
                let _ = limit.check(1, 1, "holder", 0).await;
            }
            assert_eq!(t.redis.run::<bool>(&EXTEND, &[&limit.keys[0]], &extend).await.unwrap(), held);
        }
        // A lease that is over is not brought back, also if nobody took the slot since.
        let late = Args::new().int(NOW_US + HOUR_US).bytes("holder").int(HOUR_US);
        assert!(!t.redis.run::<bool>(&EXTEND, &[&limit.keys[0]], &late).await.unwrap());
    }

    async fn the_window_of_a_fixed_window_is_not_extended(t: TestRedis) {
        let limit = Limit::of(&t.redis, "FixedWindow");
        let _ = limit.check(1, 1, "", 0).await;
        let opened = limit.state().await.1;
        let _ = limit.check(1, 1, "", 0).await;
        assert_eq!(limit.state().await.1, opened);
    }
}
