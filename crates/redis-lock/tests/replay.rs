//! Every script run twice with the same arguments: what a request that is sent again does.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, Key, Redis, Script, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static ACQUIRE: Script = Script::new("acquire", include_str!("../src/scripts/acquire.lua"));
static EXTEND: Script = Script::new("extend", include_str!("../src/scripts/extend.lua"));
static RELEASE: Script = Script::new("release", include_str!("../src/scripts/release.lua"));

struct Fixture {
    redis: Redis,
    lock: Key,
    fence: Key,
}

impl Fixture {
    fn new(t: &TestRedis) -> Self {
        let tag = Tag::of("a");
        let namespace = t.redis.namespace();
        Self {
            lock: namespace.key("lock", &tag),
            fence: namespace.part("lock", &tag, "f"),
            redis: t.redis.clone(),
        }
    }

    async fn acquire(&self, token: &str) -> (i64, u64, i64) {
        let args = Args::new().int(0).bytes(token).int(60_000).int(120_000);
        self.redis.run(&ACQUIRE, &[&self.lock, &self.fence], &args).await.unwrap()
    }

    /// Both keys with the moments they expire.
    async fn state(&self) -> Vec<Option<String>> {
        let mut state = Vec::new();
        for key in [&self.lock, &self.fence] {
            for command in ["GET", "PEXPIRETIME"] {
                state.push(self.redis.command(command, &[key], &Args::new()).await.unwrap());
            }
        }
        state
    }
}

on_every_topology! {
    async fn acquire_finds_its_own_lock_and_writes_nothing(t: TestRedis) {
        let f = Fixture::new(&t);
        let (code, fence, _) = f.acquire("t1").await;
        assert_eq!(code, 1);
        let before = f.state().await;
        let (code, again, left_ms) = f.acquire("t1").await;
        assert_eq!((code, again), (2, fence));
        assert!(left_ms > 0 && left_ms <= 60_000);
        assert_eq!(f.acquire("t2").await.0, 0);
        // A token that begins like the holder's is another.
        assert_eq!(f.acquire("t").await.0, 0);
        assert_eq!(f.acquire("t11").await.0, 0);
        assert_eq!(f.state().await, before);
    }

    async fn release_frees_once_and_only_its_own(t: TestRedis) {
        let f = Fixture::new(&t);
        f.acquire("t1").await;
        let release = |token: &'static str| {
            let f = &f;
            async move { f.redis.run::<i64>(&RELEASE, &[&f.lock], &Args::new().bytes(token)).await.unwrap() }
        };
        assert_eq!(release("t").await, 3);
        assert_eq!(release("t1").await, 1);
        assert_eq!(release("t1").await, 2);
        f.acquire("t2").await;
        let before = f.state().await;
        assert_eq!(release("t1").await, 3);
        assert_eq!(f.state().await, before);
    }

    async fn extend_never_takes_a_lock(t: TestRedis) {
        let f = Fixture::new(&t);
        f.acquire("t1").await;
        let extend = |token: &'static str| {
            let f = &f;
            async move {
                let args = Args::new().bytes(token).int(90_000);
                f.redis.run::<i64>(&EXTEND, &[&f.lock], &args).await.unwrap()
            }
        };
        assert_eq!(extend("t1").await, 1);
        assert_eq!(extend("t1").await, 1);
        let before = f.state().await;
        for other in ["t", "t11", "t2", ""] {
            assert_eq!(extend(other).await, 2);
        }
        assert_eq!(f.state().await, before);
        f.redis.command::<()>("DEL", &[&f.lock], &Args::new()).await.unwrap();
        assert_eq!(extend("t1").await, 2);
        assert_eq!(f.state().await[0], None);
    }
}
