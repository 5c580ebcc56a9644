//! Every script run twice with the same arguments: what a lost reply and a second send amount to.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, Key, Redis, Script, Tag, Value};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static CREATE: Script = Script::new("create", include_str!("../src/scripts/create.lua"));
static LOAD: Script = Script::new("load", include_str!("../src/scripts/load.lua"));
static ROTATE: Script = Script::new("rotate", include_str!("../src/scripts/rotate.lua"));
static UPDATE: Script = Script::new("update", include_str!("../src/scripts/update.lua"));

const NOW_US: i64 = 1_800_000_000_000_000;
const DEADLINE: &str = "1800000060000";

async fn dump(redis: &Redis, key: &Key) -> (Option<String>, bool) {
    let ttl: i64 = redis.command("PTTL", &[key], &Args::new()).await.unwrap();
    (redis.command("GET", &[key], &Args::new()).await.unwrap(), ttl > 0)
}

async fn create(redis: &Redis, key: &Key, value: &str) -> i64 {
    let args = Args::new().int(NOW_US).bytes(value).int(30_000).int(60_000);
    redis.run(&CREATE, &[key], &args).await.unwrap()
}

on_every_topology! {
    async fn create_begins_once(t: TestRedis) {
        let key = t.redis.namespace().part("sess", &Tag::of("p"), "a");
        assert_eq!(create(&t.redis, &key, "first").await, 1);
        assert_eq!(create(&t.redis, &key, "second").await, 0);
        assert_eq!(dump(&t.redis, &key).await, (Some(format!("{DEADLINE}first")), true));
    }

    async fn load_reads_the_same_again(t: TestRedis) {
        let key = t.redis.namespace().part("sess", &Tag::of("p"), "a");
        create(&t.redis, &key, "value").await;
        let args = Args::new().int(NOW_US).int(30_000).int(30_000);
        for _ in 0..2 {
            assert_eq!(t.redis.run::<Value>(&LOAD, &[&key], &args).await.unwrap(), Value::Bytes("value".into()));
        }
        assert_eq!(dump(&t.redis, &key).await, (Some(format!("{DEADLINE}value")), true));
        let past = Args::new().int(NOW_US + 60_000_000).int(30_000).int(30_000);
        for _ in 0..2 {
            assert_eq!(t.redis.run::<Value>(&LOAD, &[&key], &past).await.unwrap(), Value::Nil);
            assert_eq!(dump(&t.redis, &key).await, (None, false));
        }
    }

    async fn update_writes_the_same_again_and_brings_nothing_back(t: TestRedis) {
        let key = t.redis.namespace().part("sess", &Tag::of("p"), "a");
        let args = Args::new().int(NOW_US).bytes("new").int(30_000);
        assert_eq!(t.redis.run::<i64>(&UPDATE, &[&key], &args).await.unwrap(), 0);
        assert_eq!(dump(&t.redis, &key).await, (None, false));
        create(&t.redis, &key, "old").await;
        for _ in 0..2 {
            assert_eq!(t.redis.run::<i64>(&UPDATE, &[&key], &args).await.unwrap(), 1);
            assert_eq!(dump(&t.redis, &key).await, (Some(format!("{DEADLINE}new")), true));
        }
        let past = Args::new().int(NOW_US + 60_000_000).bytes("late").int(30_000);
        assert_eq!(t.redis.run::<i64>(&UPDATE, &[&key], &past).await.unwrap(), 0);
        assert_eq!(dump(&t.redis, &key).await, (Some(format!("{DEADLINE}new")), true));
    }

    async fn rotate_moves_once(t: TestRedis) {
        let key = |part| t.redis.namespace().part("sess", &Tag::of("p"), part);
        let (old, new) = (key("a"), key("b"));
        let args = Args::new().int(NOW_US).bytes("new").int(30_000);
        assert_eq!(t.redis.run::<i64>(&ROTATE, &[&old, &new], &args).await.unwrap(), 0);
        assert_eq!(dump(&t.redis, &new).await, (None, false));
        create(&t.redis, &old, "old").await;
        for code in [1, 2] {
            assert_eq!(t.redis.run::<i64>(&ROTATE, &[&old, &new], &args).await.unwrap(), code);
            assert_eq!(dump(&t.redis, &old).await, (None, false));
            assert_eq!(dump(&t.redis, &new).await, (Some(format!("{DEADLINE}new")), true));
        }
    }
}
