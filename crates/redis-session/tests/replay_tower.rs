//! The scripts of the store for tower-sessions run twice with the same arguments: what a lost reply
//! and a second send amount to.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, Key, Redis, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static CREATE: Script = Script::new("tower_create", include_str!("../src/scripts/tower_create.lua"));
static PATCH: Script = Script::new("tower_patch", include_str!("../src/scripts/tower_patch.lua"));
static DELETE: Script = Script::new("tower_delete", include_str!("../src/scripts/tower_delete.lua"));

fn key(t: &TestRedis) -> Key {
    t.redis.namespace().key("tower", &Tag::of("p"))
}

/// All fields and values, sorted.
async fn fields(redis: &Redis, key: &Key) -> Vec<String> {
    let ttl: i64 = redis.command("PTTL", &[key], &Args::new()).await.unwrap();
    assert_ne!(ttl, -1, "a key without a TTL");
    let all: Vec<String> = redis.command("HGETALL", &[key], &Args::new()).await.unwrap();
    let mut pairs: Vec<_> = all.chunks(2).map(|pair| pair.join(" ")).collect();
    pairs.sort();
    pairs
}

async fn run(redis: &Redis, script: &Script, key: &Key, args: &Args) -> i64 {
    redis.run(script, &[key], args).await.unwrap()
}

fn create(value: &str) -> Args {
    Args::new().bytes("7").int(60_000).bytes("=a").bytes(value).bytes("=b").bytes(value)
}

/// Sets `c`, removes `a`.
fn patch(others: &'static str) -> Args {
    Args::new().bytes("8").int(60_000).word(others).int(6).bytes("=c").bytes("new").bytes("=a")
}

fn delete(deletion: &str) -> Args {
    Args::new().bytes(deletion).int(60_000)
}

on_every_topology! {
    async fn create_begins_once(t: TestRedis) {
        let key = key(&t);
        assert_eq!(run(&t.redis, &CREATE, &key, &create("first")).await, 1);
        assert_eq!(run(&t.redis, &CREATE, &key, &create("second")).await, 0);
        assert_eq!(fields(&t.redis, &key).await, ["=a first", "=b first", "expiry 7"]);
    }

    async fn patch_writes_the_same_again_and_brings_nothing_back(t: TestRedis) {
        let key = key(&t);
        assert_eq!(run(&t.redis, &PATCH, &key, &patch("keep")).await, 0);
        assert!(t.keys().await.is_empty());
        run(&t.redis, &CREATE, &key, &create("old")).await;
        for _ in 0..2 {
            assert_eq!(run(&t.redis, &PATCH, &key, &patch("keep")).await, 1);
            assert_eq!(fields(&t.redis, &key).await, ["=b old", "=c new", "expiry 8"]);
        }
        for _ in 0..2 {
            assert_eq!(run(&t.redis, &PATCH, &key, &patch("drop")).await, 1);
            assert_eq!(fields(&t.redis, &key).await, ["=c new", "expiry 8"]);
        }
    }

    async fn delete_is_counted_once_by_its_name(t: TestRedis) {
        let key = key(&t);
        assert_eq!(run(&t.redis, &DELETE, &key, &delete("1")).await, 0);
        assert!(t.keys().await.is_empty(), "of what was never there nothing stays");
        run(&t.redis, &CREATE, &key, &create("old")).await;
        for code in [1, 0] {
            assert_eq!(run(&t.redis, &DELETE, &key, &delete("1")).await, code);
            assert_eq!(fields(&t.redis, &key).await, ["1 "]);
        }
        assert_eq!(run(&t.redis, &DELETE, &key, &delete("2")).await, 0);
        assert_eq!(fields(&t.redis, &key).await, ["1 ", "2 "]);
        for script in [(&CREATE, create("back")), (&PATCH, patch("drop"))] {
            assert_eq!(run(&t.redis, script.0, &key, &script.1).await, 0);
        }
    }
}
