//! Every script run twice with the same arguments: what its `replay` line says.

mod common;

use common::{key, state};
use redis_patterns_core::{Args, Script, script};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static FIXED_WINDOW: Script = script!("fixed_window", "../src/scripts/fixed_window.lua");
static TOKEN_BUCKET: Script = script!("token_bucket", "../src/scripts/token_bucket.lua");
static SLIDING_LOG: Script = script!("sliding_log", "../src/scripts/sliding_log.lua");
static SLIDING_WINDOW: Script = script!("sliding_window", "../src/scripts/sliding_window.lua");

const HOUR_US: i64 = 3_600_000_000;
const NOW_US: i64 = 1_800_000_000_000_000;

/// Each script with a limit of 5 an hour; the first argument of three is the time.
fn calls(least: i64, most: i64) -> [(&'static Script, &'static str, Args); 4] {
    let ask = |args: Args| args.int(least).int(most).int(5);
    let now = || Args::new().int(NOW_US);
    [
        (&FIXED_WINDOW, "fixed", ask(Args::new()).int(HOUR_US / 1_000)),
        (&TOKEN_BUCKET, "bucket", ask(now()).int(HOUR_US / 5).int(1)),
        (&SLIDING_LOG, "log", ask(now()).int(HOUR_US)),
        (&SLIDING_WINDOW, "window", ask(now()).int(HOUR_US / 10).int(10)),
    ]
}

static FIXED_WINDOW_REFUND: Script = script!("fixed_window_refund", "../src/scripts/fixed_window_refund.lua");
static TOKEN_BUCKET_REFUND: Script = script!("token_bucket_refund", "../src/scripts/token_bucket_refund.lua");
static SLIDING_LOG_REFUND: Script = script!("sliding_log_refund", "../src/scripts/sliding_log_refund.lua");
static SLIDING_WINDOW_REFUND: Script =
    script!("sliding_window_refund", "../src/scripts/sliding_window_refund.lua");

/// The refund of 2 units for each of [`calls`], of the take with this mark.
fn refunds(subject: &str, mark: i64) -> (&'static Script, Args) {
    let named = Args::new().int(mark).int(2);
    match subject {
        "fixed" => (&FIXED_WINDOW_REFUND, named),
        "bucket" => (&TOKEN_BUCKET_REFUND, Args::new().int(NOW_US).int(mark).int(2).int(HOUR_US / 5).int(1)),
        "log" => (&SLIDING_LOG_REFUND, named),
        _ => (&SLIDING_WINDOW_REFUND, named),
    }
}

on_every_topology! {
    async fn a_refund_gives_back_again_and_never_more_than_is_held(t: TestRedis) {
        for (script, subject, args) in calls(3, 3) {
            let key = key(&t.redis, subject);
            let reply: (u64, u64, u64, u64, i64) = t.redis.run(script, &[&key], &args).await.unwrap();
            let (refund, args) = refunds(subject, reply.4);
            for back in [2, 1, 0, 0] {
                assert_eq!(t.redis.run::<u64>(refund, &[&key], &args).await.unwrap(), back, "{subject}");
                assert_ne!(t.ttl_ms(key.as_str()).await, -1, "{subject}: immortal");
            }
        }
    }

    async fn a_refund_of_what_is_not_there_makes_no_key(t: TestRedis) {
        for (_, subject, _) in calls(1, 1) {
            let key = key(&t.redis, subject);
            let (refund, args) = refunds(subject, 1);
            assert_eq!(t.redis.run::<u64>(refund, &[&key], &args).await.unwrap(), 0, "{subject}");
            assert_eq!(state(&t.redis, &key).await, (None, -2), "{subject}");
        }
    }

    async fn a_take_takes_again_until_there_is_too_little(t: TestRedis) {
        for (script, subject, args) in calls(2, 2) {
            let key = key(&t.redis, subject);
            for (taken, left) in [(2, 3), (2, 1), (0, 1), (0, 1)] {
                let before = state(&t.redis, &key).await;
                let reply: (u64, u64, u64, u64, u64) = t.redis.run(script, &[&key], &args).await.unwrap();
                assert_eq!((reply.0, reply.1), (taken, left), "{subject}");
                assert_eq!(reply.2 > 0, taken == 0, "{subject}: a wait belongs to a denial");
                let unchanged = state(&t.redis, &key).await == before;
                assert_eq!(unchanged, taken == 0, "{subject}");
            }
        }
    }

    async fn a_look_looks_again(t: TestRedis) {
        for (script, subject, args) in calls(1, 0) {
            let key = key(&t.redis, subject);
            for _ in 0..2 {
                let reply: (u64, u64, u64, u64, u64) = t.redis.run(script, &[&key], &args).await.unwrap();
                assert_eq!((reply.0, reply.1, reply.2, reply.3), (0, 5, 0, 0), "{subject}");
                assert_eq!(state(&t.redis, &key).await, (None, -2), "{subject}");
            }
        }
    }

    async fn the_window_of_a_fixed_window_is_not_extended(t: TestRedis) {
        let key = key(&t.redis, "ann");
        let [(script, _, args), ..] = calls(1, 1);
        t.redis.run::<()>(script, &[&key], &args).await.unwrap();
        let opened = state(&t.redis, &key).await.1;
        t.redis.run::<()>(script, &[&key], &args).await.unwrap();
        assert_eq!(state(&t.redis, &key).await.1, opened);
    }
}
