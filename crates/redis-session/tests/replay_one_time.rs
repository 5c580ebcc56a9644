//! The scripts of tokens and codes run twice with the same arguments: what a lost reply and a second
//! send amount to.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, Key, Redis, Script, Tag, Value};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static TOKEN_ISSUE: Script = Script::new("token_issue", include_str!("../src/scripts/token_issue.lua"));
static TOKEN_CONSUME: Script = Script::new("token_consume", include_str!("../src/scripts/token_consume.lua"));
static CODE_ISSUE: Script = Script::new("code_issue", include_str!("../src/scripts/code_issue.lua"));
static CODE_VERIFY: Script = Script::new("code_verify", include_str!("../src/scripts/code_verify.lua"));

const TTL_MS: i64 = 600_000;

fn key(t: &TestRedis, part: &str) -> Key {
    t.redis.namespace().part("ot", &Tag::of("p"), part)
}

/// All fields of a hash with the expiry put aside: what a second run must leave as it is.
async fn fields(redis: &Redis, key: &Key) -> Vec<String> {
    let ttl: i64 = redis.command("PTTL", &[key], &Args::new()).await.unwrap();
    assert_ne!(ttl, -1, "a key without a TTL");
    redis.command("HGETALL", &[key], &Args::new()).await.unwrap()
}

async fn run(redis: &Redis, script: &Script, keys: &[&Key], args: &Args) -> (i64, Value) {
    redis.run(script, keys, args).await.unwrap()
}

fn token(hash: &str, value: &str) -> Args {
    Args::new().bytes(hash).bytes("stamp").bytes("").bytes(value).int(TTL_MS).int(TTL_MS - 60_000)
}

fn bring(hash: &str, stamp: &str, browser: &str) -> Args {
    Args::new().bytes(hash).bytes(stamp).bytes(browser)
}

fn code(issue: &str, mac: &str) -> Args {
    Args::new().bytes(issue).bytes(mac).bytes("value").int(TTL_MS).int(TTL_MS - 60_000).int(3)
}

fn guess(mac: &str) -> Args {
    Args::new().bytes(mac).int(2).int(3).int(60_000)
}

on_every_topology! {
    async fn token_issue_writes_once(t: TestRedis) {
        let place = key(&t, "place");
        assert_eq!(run(&t.redis, &TOKEN_ISSUE, &[&place], &token("a", "first")).await, (1, Value::Int(0)));
        let before = fields(&t.redis, &place).await;
        assert_eq!(run(&t.redis, &TOKEN_ISSUE, &[&place], &token("a", "again")).await, (1, Value::Int(0)));
        let (code, Value::Int(wait_ms)) = run(&t.redis, &TOKEN_ISSUE, &[&place], &token("b", "soon")).await else { panic!() };
        assert!(code == 0 && (1..=60_000).contains(&wait_ms), "{code} {wait_ms}");
        assert_eq!(fields(&t.redis, &place).await, before);
    }

    async fn token_consume_deletes_once_and_only_what_fits(t: TestRedis) {
        let place = key(&t, "place");
        assert_eq!(run(&t.redis, &TOKEN_CONSUME, &[&place], &bring("a", "stamp", "")).await, (0, Value::Nil));
        run(&t.redis, &TOKEN_ISSUE, &[&place], &token("a", "value")).await;
        let before = fields(&t.redis, &place).await;
        let refused = [(0, bring("b", "stamp", "")), (2, bring("a", "", "")), (3, bring("a", "stamp", "x"))];
        for (code, args) in refused {
            assert_eq!(run(&t.redis, &TOKEN_CONSUME, &[&place], &args).await, (code, Value::Nil));
            assert_eq!(fields(&t.redis, &place).await, before);
        }
        let right = bring("a", "stamp", "");
        let value = Value::Bytes("value".into());
        assert_eq!(run(&t.redis, &TOKEN_CONSUME, &[&place], &right).await, (1, value));
        assert_eq!(run(&t.redis, &TOKEN_CONSUME, &[&place], &right).await, (0, Value::Nil));
    }

    async fn code_issue_writes_once(t: TestRedis) {
        let (place, failures) = (key(&t, "place"), key(&t, "failures"));
        let keys = [&place, &failures];
        assert_eq!(run(&t.redis, &CODE_ISSUE, &keys, &code("1", "a")).await, (1, Value::Int(0)));
        run(&t.redis, &CODE_VERIFY, &keys, &guess("wrong")).await;
        let before = fields(&t.redis, &place).await;
        // The second run does not give the guess back.
        assert_eq!(run(&t.redis, &CODE_ISSUE, &keys, &code("1", "a")).await, (1, Value::Int(0)));
        // The same digits drawn again are another code.
        assert_eq!(run(&t.redis, &CODE_ISSUE, &keys, &code("2", "a")).await.0, 0);
        assert_eq!(fields(&t.redis, &place).await, before);
    }

    async fn code_verify_counts_again_and_is_right_once(t: TestRedis) {
        let (place, failures) = (key(&t, "place"), key(&t, "failures"));
        let keys = [&place, &failures];
        assert_eq!(run(&t.redis, &CODE_VERIFY, &keys, &guess("a")).await, (0, Value::Nil));
        assert!(t.keys().await.is_empty(), "a guess at nothing leaves nothing");
        run(&t.redis, &CODE_ISSUE, &keys, &code("1", "a")).await;
        assert_eq!(run(&t.redis, &CODE_VERIFY, &keys, &guess("wrong")).await, (2, Value::Int(1)));
        let value = Value::Bytes("value".into());
        assert_eq!(run(&t.redis, &CODE_VERIFY, &keys, &guess("a")).await, (1, value));
        assert_eq!(run(&t.redis, &CODE_VERIFY, &keys, &guess("a")).await, (0, Value::Nil));
        assert!(t.keys().await.is_empty());
    }
}
