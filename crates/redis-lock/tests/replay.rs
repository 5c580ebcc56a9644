//! Every script run twice with the same arguments: what a request that is sent again does.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, Key, Redis, Script, Tag, Value};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;

static ACQUIRE: Script = Script::new("acquire", include_str!("../src/scripts/acquire.lua"));
static EXTEND: Script = Script::new("extend", include_str!("../src/scripts/extend.lua"));
static RAISE: Script = Script::new("raise", include_str!("../src/scripts/raise.lua"));
static WAIT: Script = Script::new("wait", include_str!("../src/scripts/wait.lua"));
static ENTER: Script = Script::new("enter", include_str!("../src/scripts/enter.lua"));
static LEAVE: Script = Script::new("leave", include_str!("../src/scripts/leave.lua"));
static PROLONG: Script = Script::new("prolong", include_str!("../src/scripts/prolong.lua"));
static RAISE_PERMIT: Script = Script::new("raise_permit", include_str!("../src/scripts/raise_permit.lua"));
static FORCE_RELEASE: Script = Script::new("force_release", include_str!("../src/scripts/force_release.lua"));
static INSPECT: Script = Script::new("inspect", include_str!("../src/scripts/inspect.lua"));
static RELEASE: Script = Script::new("release", include_str!("../src/scripts/release.lua"));

struct Fixture {
    redis: Redis,
    /// Lock, fence, queue, alive, channel.
    keys: [Key; 5],
}

impl Fixture {
    fn new(t: &TestRedis) -> Self {
        let tag = Tag::of("a");
        let namespace = t.redis.namespace();
        let part = |part| namespace.part("lock", &tag, part);
        let keys = [namespace.key("lock", &tag), part("f"), part("q"), part("a"), part("c")];
        Self { keys, redis: t.redis.clone() }
    }

    async fn acquire(&self, token: &str) -> (i64, u64, i64) {
        let args = Args::new().int(0).bytes(token).int(60_000).int(120_000);
        let [lock, fence, ..] = &self.keys;
        self.redis.run(&ACQUIRE, &[lock, fence], &args).await.unwrap()
    }

    async fn wait(&self, token: &str) -> (i64, u64, i64) {
        let args = Args::new().int(0).bytes(token).int(60_000).int(120_000).int(2_000).int(3_000);
        self.redis.run(&WAIT, &self.keys.each_ref(), &args).await.unwrap()
    }

    async fn extend(&self, token: &str) -> i64 {
        let args = Args::new().int(90_000).bytes(token);
        let codes: Vec<i64> = self.redis.run(&EXTEND, &[&self.keys[0]], &args).await.unwrap();
        assert_eq!(codes.len(), 1);
        codes[0]
    }

    async fn raise(&self, token: &str, seen: u64) -> (i64, u64) {
        let args = Args::new().int(0).bytes(token).int(seen.cast_signed()).int(120_000);
        let [lock, fence, ..] = &self.keys;
        self.redis.run(&RAISE, &[lock, fence], &args).await.unwrap()
    }

    async fn release(&self, token: &str) -> i64 {
        let args = Args::new().int(0).bytes(token).int(120_000).int(2_000);
        self.redis.run(&RELEASE, &self.keys.each_ref(), &args).await.unwrap()
    }

    /// Two of three permits.
    async fn enter(&self, token: &str) -> (i64, u64, i64) {
        let args = Args::new().int(0).bytes(token).int(2).int(3).int(60_000).int(120_000).int(3_000).int(1);
        let [lock, fence, queue, alive, _] = &self.keys;
        self.redis.run(&ENTER, &[lock, fence, queue, alive], &args).await.unwrap()
    }

    async fn leave(&self, token: &str) -> i64 {
        let args = Args::new().int(0).bytes(token).int(2).int(3);
        let [lock, _, queue, alive, channel] = &self.keys;
        self.redis.run(&LEAVE, &[lock, queue, alive, channel], &args).await.unwrap()
    }

    async fn prolong(&self, token: &str) -> i64 {
        let args = Args::new().int(0).bytes(token).int(90_000);
        self.redis.run(&PROLONG, &[&self.keys[0]], &args).await.unwrap()
    }

    async fn raise_permit(&self, token: &str, seen: u64) -> (i64, u64) {
        let args = Args::new().int(0).bytes(token).int(seen.cast_signed()).int(120_000);
        self.redis.run(&RAISE_PERMIT, &[&self.keys[0], &self.keys[1]], &args).await.unwrap()
    }

    async fn force_release(&self, fence: u64) -> (i64, u64) {
        let args = Args::new().int(0).int(fence.cast_signed()).int(120_000).bytes("operator");
        let [lock, last, _, _, channel] = &self.keys;
        self.redis.run(&FORCE_RELEASE, &[lock, last, &self.revoked(), channel], &args).await.unwrap()
    }

    fn revoked(&self) -> Key {
        self.redis.namespace().part("lock", &Tag::of("a"), "r")
    }

    async fn holders(&self) -> Vec<String> {
        self.redis.command("HGETALL", &[&self.keys[0]], &Args::new()).await.unwrap()
    }

    async fn queue(&self) -> Vec<String> {
        self.redis.command("ZRANGE", &[&self.keys[2]], &Args::new().int(0).int(-1)).await.unwrap()
    }

    /// The lock and its fence with the moments they expire, and the queue.
    async fn state(&self) -> Vec<Option<String>> {
        let mut state = Vec::new();
        for key in &self.keys[..2] {
            for command in ["GET", "PEXPIRETIME"] {
                state.push(self.redis.command(command, &[key], &Args::new()).await.unwrap());
            }
        }
        state.extend(self.queue().await.into_iter().map(Some));
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

    async fn wait_keeps_its_place_and_finds_its_own_lock(t: TestRedis) {
        let f = Fixture::new(&t);
        let (code, fence, _) = f.wait("t1").await;
        assert_eq!(code, 1);
        assert_eq!(f.wait("t1").await.0, 2);
        assert_eq!(f.wait("t1").await.1, fence);
        for token in ["t2", "t3", "t2"] {
            assert_eq!(f.wait(token).await.0, 0);
        }
        assert_eq!(f.queue().await, ["t2", "t3"]);
        assert_eq!(f.release("t1").await, 1);
        // Handed over: the same answer as a grant, with the fence of the hand-over, every time.
        let (code, fence, _) = f.wait("t2").await;
        assert_eq!(code, 2);
        assert_eq!(f.wait("t2").await, (2, fence, 60_000));
        assert_eq!(f.queue().await, ["t3"]);
    }

    async fn release_frees_once_and_only_its_own(t: TestRedis) {
        let f = Fixture::new(&t);
        f.acquire("t1").await;
        assert_eq!(f.release("t").await, 3);
        assert_eq!(f.release("t1").await, 1);
        assert_eq!(f.release("t1").await, 2);
        f.acquire("t2").await;
        let before = f.state().await;
        assert_eq!(f.release("t1").await, 3);
        assert_eq!(f.state().await, before);
    }

    async fn release_hands_over_once(t: TestRedis) {
        let f = Fixture::new(&t);
        f.wait("t1").await;
        f.wait("t2").await;
        f.wait("t3").await;
        assert_eq!(f.release("t1").await, 1);
        let before = f.state().await;
        assert!(before[0].as_deref().unwrap().starts_with("t2:"));
        assert_eq!(f.release("t1").await, 3);
        assert_eq!(f.state().await, before);
        // One that gives up leaves the queue, and the lock where it is.
        assert_eq!(f.release("t3").await, 3);
        assert_eq!(f.queue().await, [] as [&str; 0]);
        assert_eq!(f.state().await[..4], before[..4]);
    }

    async fn raise_only_goes_up(t: TestRedis) {
        let f = Fixture::new(&t);
        let (_, fence, _) = f.acquire("t1").await;
        let (code, raised) = f.raise("t1", fence + 1_000_000_000_000).await;
        assert_eq!((code, raised), (1, fence + 1_000_000_000_001));
        assert_eq!(f.raise("t1", fence).await, (1, raised + 1));
        let before = f.state().await;
        assert_eq!(f.raise("t2", fence).await.0, 2);
        assert_eq!(f.raise("t1", (1 << 53) - 1).await.0, 3);
        assert_eq!(f.state().await, before);
        assert_eq!(f.release("t1").await, 1);
    }

    async fn extend_answers_for_each_lock(t: TestRedis) {
        let f = Fixture::new(&t);
        f.acquire("t1").await;
        // All of one slot, so that it runs in a cluster too: held, free, held by another.
        let keys = [&f.keys[0], &f.keys[3], &f.keys[0]];
        let args = Args::new().int(90_000).bytes("t1").bytes("t1").bytes("t2");
        for _ in 0..2 {
            assert_eq!(f.redis.run::<Vec<i64>>(&EXTEND, &keys, &args).await.unwrap(), [1, 2, 2]);
        }
    }

    async fn extend_never_takes_a_lock(t: TestRedis) {
        let f = Fixture::new(&t);
        f.acquire("t1").await;
        assert_eq!(f.extend("t1").await, 1);
        assert_eq!(f.extend("t1").await, 1);
        let before = f.state().await;
        for other in ["t", "t11", "t2", ""] {
            assert_eq!(f.extend(other).await, 2);
        }
        assert_eq!(f.state().await, before);
        f.redis.command::<()>("DEL", &[&f.keys[0]], &Args::new()).await.unwrap();
        assert_eq!(f.extend("t1").await, 2);
        assert_eq!(f.state().await[0], None);
    }

    async fn enter_finds_its_own_permits_and_keeps_its_place(t: TestRedis) {
        let f = Fixture::new(&t);
        let (code, fence, _) = f.enter("t1").await;
        assert_eq!(code, 1);
        let before = f.holders().await;
        let (code, again, left_ms) = f.enter("t1").await;
        assert_eq!((code, again), (2, fence));
        assert!(left_ms > 0 && left_ms <= 60_000);
        for token in ["t2", "t", "t2", "t11"] {
            assert_eq!(f.enter(token).await.0, 0);
        }
        assert_eq!(f.holders().await, before);
        assert_eq!(f.queue().await, ["t2:2", "t:2", "t11:2"]);
    }

    async fn leave_frees_once_and_only_its_own(t: TestRedis) {
        let f = Fixture::new(&t);
        f.enter("t1").await;
        f.enter("t2").await;
        assert_eq!(f.leave("t").await, 2);
        assert_eq!(f.leave("t1").await, 1);
        assert_eq!(f.leave("t1").await, 2);
        assert_eq!(f.enter("t2").await.0, 1);
        let before = f.holders().await;
        assert_eq!(f.leave("t1").await, 2);
        assert_eq!(f.holders().await, before);
        f.enter("t3").await;
        assert_eq!(f.leave("t3").await, 2);
        assert_eq!(f.queue().await, [] as [&str; 0]);
    }

    async fn prolong_and_raise_never_take_permits(t: TestRedis) {
        let f = Fixture::new(&t);
        let (_, fence, _) = f.enter("t1").await;
        assert_eq!((f.prolong("t1").await, f.prolong("t1").await), (1, 1));
        let (code, raised) = f.raise_permit("t1", fence + 1_000_000_000_000).await;
        assert_eq!((code, raised), (1, fence + 1_000_000_000_001));
        assert_eq!(f.raise_permit("t1", fence).await, (1, raised + 1));
        let before = f.holders().await;
        for other in ["t", "t11", ""] {
            assert_eq!((f.prolong(other).await, f.raise_permit(other, fence).await.0), (2, 2));
        }
        assert_eq!(f.raise_permit("t1", (1 << 53) - 1).await.0, 3);
        assert_eq!(f.holders().await, before);
        assert_eq!(f.leave("t1").await, 1);
        assert_eq!((f.prolong("t1").await, f.raise_permit("t1", fence).await.0), (2, 2));
        assert_eq!(f.holders().await, [] as [&str; 0]);
    }

    async fn force_release_frees_once(t: TestRedis) {
        let f = Fixture::new(&t);
        let (_, fence, _) = f.acquire("t1").await;
        assert_eq!(f.force_release(fence - 1).await.0, 3);
        let (code, above) = f.force_release(fence).await;
        assert!(code == 1 && above > fence);
        assert_eq!(f.force_release(fence).await, (2, 0));
        let (_, next, _) = f.acquire("t2").await;
        assert!(next > above);
        let before = f.state().await;
        assert_eq!(f.force_release(fence).await, (3, 0));
        assert_eq!(f.state().await, before);
        let revoked: i64 = f.redis.command("LLEN", &[&f.revoked()], &Args::new()).await.unwrap();
        assert_eq!(revoked, 1);
    }

    async fn inspect_writes_nothing(t: TestRedis) {
        let f = Fixture::new(&t);
        f.acquire("secret@label").await;
        let before = f.state().await;
        for _ in 0..2 {
            let keys = [&f.keys[0], &f.keys[2], &f.revoked()];
            let answer: Value = f.redis.run(&INSPECT, &keys, &Args::new().int(0)).await.unwrap();
            let text = format!("{answer:?}");
            assert!(text.contains("label") && !text.contains("secret"), "{text}");
        }
        assert_eq!(f.state().await, before);
    }
}
