//! Every script run twice with the same arguments: what a lost reply and a second send amount to.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, FromReply, Key, Redis, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static CREATE: Script = Script::new("create", include_str!("../src/scripts/create.lua"));
static HEADS: Script = Script::new("heads", include_str!("../src/scripts/heads.lua"));
static LOAD: Script = Script::new("load", include_str!("../src/scripts/load.lua"));
static REVOKE: Script = Script::new("revoke", include_str!("../src/scripts/revoke.lua"));
static REVOKE_OTHERS: Script = Script::new("revoke_others", include_str!("../src/scripts/revoke_others.lua"));
static ROTATE: Script = Script::new("rotate", include_str!("../src/scripts/rotate.lua"));
static UPDATE: Script = Script::new("update", include_str!("../src/scripts/update.lua"));

const NOW_US: i64 = 1_800_000_000_000_000;
const OLD: &str = "0000000000000001";
const NEW: &str = "0000000000000002";

/// The keys of one place, and what stands in them.
struct Place {
    redis: Redis,
    index: Key,
}

type State = (Vec<Option<String>>, Vec<String>, bool);

impl Place {
    fn of(t: &TestRedis) -> Self {
        let index = t.redis.namespace().part("sess", &Tag::of("p"), "index");
        Self { redis: t.redis.clone(), index }
    }

    fn session(&self, name: &str) -> Key {
        self.redis.namespace().part("sess", &Tag::of("p"), name)
    }

    /// The sessions `a` and `b`, the members of the index with their scores, and whether every key
    /// that is there has a TTL.
    async fn state(&self) -> State {
        let (mut values, mut expire) = (Vec::new(), true);
        for name in ["a", "b"] {
            let key = self.session(name);
            values.push(self.redis.command("GET", &[&key], &Args::new()).await.unwrap());
            expire &= self.ttl(&key).await;
        }
        let all = Args::new().int(0).int(-1).word("WITHSCORES");
        let members = self.redis.command("ZRANGE", &[&self.index], &all).await.unwrap();
        (values, members, expire && self.ttl(&self.index).await)
    }

    async fn ttl(&self, key: &Key) -> bool {
        self.redis.command::<i64>("PTTL", &[key], &Args::new()).await.unwrap() != -1
    }

    async fn create(&self, name: &str, limit: i64) -> (i64, Vec<String>) {
        self.create_beside(name, limit, "").await
    }

    /// Begins one that replaces `uncounted`.
    async fn create_beside(&self, name: &str, limit: i64, uncounted: &str) -> (i64, Vec<String>) {
        let args = Args::new().int(NOW_US).int(30_000).int(60_000).bytes(format!("{OLD}u003devvalue"));
        let args = args.bytes(name).int(limit).int(0).bytes(uncounted);
        self.redis.run(&CREATE, &[&self.session(name), &self.index], &args).await.unwrap()
    }

    async fn run<R: FromReply>(&self, script: &Script, keys: &[&Key], args: Args) -> R {
        self.redis.run(script, keys, &args).await.unwrap()
    }
}

/// A session that began, was last written `ms` after that, with this version and value.
fn stored(ms: i64, version: &str, value: &str) -> Option<String> {
    let begun = NOW_US / 1_000;
    Some(format!("{}{begun}{}{version}u003dev{value}", begun + 60_000, begun + ms))
}

fn one(name: &str, score: i64) -> Vec<String> {
    vec![name.to_owned(), (NOW_US / 1_000 + score).to_string()]
}

on_every_topology! {
    async fn create_begins_once(t: TestRedis) {
        let place = Place::of(&t);
        for code in [1, 0, 0] {
            assert_eq!(place.create("a", 1).await, (code, vec![]));
            assert_eq!(place.state().await, (vec![stored(0, OLD, "value"), None], one("a", 30_000), true));
        }
        for _ in 0..2 {
            assert_eq!(place.create("b", 1).await, (2, vec![]));
            assert_eq!(place.create_beside("b", 1, "c").await, (2, vec![]));
            assert_eq!(place.state().await, (vec![stored(0, OLD, "value"), None], one("a", 30_000), true));
        }
        for code in [1, 0, 0] {
            assert_eq!(place.create_beside("b", 1, "a").await, (code, vec![]));
            assert_eq!(place.state().await.1, [one("a", 30_000), one("b", 30_000)].concat());
        }
    }

    async fn load_reads_the_same_again(t: TestRedis) {
        let place = Place::of(&t);
        place.create("a", 0).await;
        let (session, index) = (place.session("a"), &place.index);
        let args = |later_ms: i64, untouched: i64| {
            Args::new().int(NOW_US + later_ms * 1_000).int(30_000).int(untouched).bytes("a")
        };
        for seen in [0, 5, 5] {
            let found: Option<(i64, String)> = place.run(&LOAD, &[&session, index], args(5, 30_000)).await;
            assert_eq!(found, Some((1, stored(seen, OLD, "value").unwrap())));
            assert_eq!(place.state().await, (vec![stored(5, OLD, "value"), None], one("a", 30_005), true));
        }
        for _ in 0..2 {
            let found: Option<(i64, String)> = place.run(&LOAD, &[&session, index], args(60_000, 30_000)).await;
            assert_eq!(found, None);
            assert_eq!(place.state().await.0, [None, None]);
        }
    }

    async fn update_writes_the_same_again_and_brings_nothing_back(t: TestRedis) {
        let place = Place::of(&t);
        let (session, index) = (place.session("a"), &place.index);
        let args = |later_ms: i64, expected: &str| {
            let args = Args::new().int(NOW_US + later_ms * 1_000).int(30_000).bytes("a").bytes(expected);
            args.bytes(NEW).bytes("new")
        };
        assert_eq!(place.run::<i64>(&UPDATE, &[&session, index], args(0, "")).await, 0);
        assert_eq!(place.state().await, (vec![None, None], vec![], true));
        place.create("a", 0).await;
        for _ in 0..2 {
            assert_eq!(place.run::<i64>(&UPDATE, &[&session, index], args(1, "")).await, 1);
            assert_eq!(place.state().await, (vec![stored(1, NEW, "new"), None], one("a", 30_001), true));
        }
        let before = place.state().await;
        for (later_ms, expected, code) in [(2, OLD, 2), (2, "0000000000000003", 2), (60_000, "", 0)] {
            assert_eq!(place.run::<i64>(&UPDATE, &[&session, index], args(later_ms, expected)).await, code);
            assert_eq!(place.state().await, before);
        }
    }

    async fn an_update_of_one_version_happens_once(t: TestRedis) {
        let place = Place::of(&t);
        let (session, index) = (place.session("a"), &place.index);
        place.create("a", 0).await;
        let args = |version: &str| {
            let args = Args::new().int(NOW_US).int(30_000).bytes("a").bytes(OLD);
            args.bytes(version).bytes(version)
        };
        assert_eq!(place.run::<i64>(&UPDATE, &[&session, index], args(NEW)).await, 1);
        for (version, code) in [(NEW, 2), (NEW, 2), ("0000000000000003", 3)] {
            assert_eq!(place.run::<i64>(&UPDATE, &[&session, index], args(version)).await, code);
            assert_eq!(place.state().await.0, [stored(0, NEW, NEW), None]);
        }
    }

    async fn rotate_moves_once(t: TestRedis) {
        let place = Place::of(&t);
        let (old, new) = (place.session("a"), place.session("b"));
        let keys = [&old, &new, &place.index];
        let args = |expected: &str| {
            let args = Args::new().int(NOW_US).int(30_000).bytes("a").bytes("b").bytes(expected);
            args.bytes(NEW).bytes("new")
        };
        for expected in ["", OLD] {
            assert_eq!(place.run::<i64>(&ROTATE, &keys, args(expected)).await, 0);
            assert_eq!(place.state().await, (vec![None, None], vec![], true));
            place.create("a", 0).await;
            let before = place.state().await;
            for _ in 0..2 {
                assert_eq!(place.run::<i64>(&ROTATE, &keys, args("0000000000000003")).await, 3);
                assert_eq!(place.state().await, before);
            }
            for code in [1, 2, 2] {
                assert_eq!(place.run::<i64>(&ROTATE, &keys, args(expected)).await, code);
                assert_eq!(place.state().await, (vec![None, stored(0, NEW, "new")], one("b", 30_000), true));
            }
            let gone = Args::new().bytes("b");
            assert_eq!(place.run::<i64>(&REVOKE, &[&new, &place.index], gone).await, 1);
        }
    }

    async fn revoke_ends_once(t: TestRedis) {
        let place = Place::of(&t);
        place.create("a", 0).await;
        for code in [1, 0, 0] {
            let args = Args::new().bytes("a");
            assert_eq!(place.run::<i64>(&REVOKE, &[&place.session("a"), &place.index], args).await, code);
            assert_eq!(place.state().await, (vec![None, None], vec![], true));
        }
    }

    async fn revoke_others_leaves_one_each_time(t: TestRedis) {
        let place = Place::of(&t);
        let session = place.session("a");
        let args = || Args::new().int(NOW_US).bytes("a");
        assert_eq!(place.run::<(i64, i64)>(&REVOKE_OTHERS, &[&session, &place.index], args()).await, (0, 0));
        place.create("a", 0).await;
        place.create("b", 0).await;
        for others in [1, 0, 0] {
            let done: (i64, i64) = place.run(&REVOKE_OTHERS, &[&session, &place.index], args()).await;
            assert_eq!(done, (1, others));
            assert_eq!(place.state().await.1, one("a", 30_000));
        }
    }

    async fn heads_reads_the_same_again(t: TestRedis) {
        let place = Place::of(&t);
        place.create("a", 0).await;
        let before = place.state().await;
        for _ in 0..2 {
            let args = Args::new().bytes("a").bytes("b");
            let keys = [&place.index, &place.session("a"), &place.session("b")];
            let heads: Vec<(i64, String)> = place.run(&HEADS, &keys, args).await;
            assert_eq!(heads[0].1, before.0[0].clone().unwrap());
            assert!(heads[0].0 > 0 && heads[1] == (0, String::new()), "{heads:?}");
            assert_eq!(place.state().await, before);
        }
    }
}
