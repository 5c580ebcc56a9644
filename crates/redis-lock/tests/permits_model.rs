//! Random schedules of permits against the rule itself: never more than there are, fences that rise,
//! late holders that notice.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use redis_lock::{FencingToken, LockGuard, LockOptions, Locks, Released};
use redis_patterns_core::{Args, Key, Redis, Tag};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::num::NonZeroU32;
use std::time::Duration;

const PERMITS: u32 = 4;
const CLIENTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// This client asks for so many permits.
    Try(usize, u32),
    Release(usize),
    Extend(usize),
    /// This client's lease ends at the server, nobody else's.
    Expire(usize),
    /// The server forgets everything.
    Flush,
}

fn schedules(how_many: usize) -> Vec<Vec<Step>> {
    let who = || 0..CLIENTS;
    let step = prop_oneof![
        5 => (who(), 1..=PERMITS).prop_map(|(who, weight)| Step::Try(who, weight)),
        3 => who().prop_map(Step::Release),
        2 => who().prop_map(Step::Extend),
        2 => who().prop_map(Step::Expire),
        1 => Just(Step::Flush),
    ];
    let steps = proptest::collection::vec(step, 1..60);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..how_many).map(|_| steps.new_tree(&mut runner).unwrap().current()).collect()
}

/// What one client has: its guard, its weight, and whether the server still has it.
struct Client {
    guard: LockGuard,
    weight: u32,
    live: bool,
}

struct Keys {
    redis: Redis,
    holders: Key,
    fence: Key,
}

impl Keys {
    async fn expire(&self, fence: FencingToken) {
        let all: Vec<String> = self.redis.command("HGETALL", &[&self.holders], &Args::new()).await.unwrap();
        let held = all.chunks(2).find(|entry| entry[1].split(':').nth(1) == Some(&fence.to_string()));
        let over = Args::new().bytes(&held.unwrap()[0]).bytes(format!("1:{fence}:1"));
        self.redis.command::<()>("HSET", &[&self.holders], &over).await.unwrap();
    }
}

on_every_topology! {
    async fn schedules_agree_with_the_model(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        for (number, schedule) in schedules(40).into_iter().enumerate() {
            let name = format!("s-{number}");
            let semaphore = locks.semaphore(&name, NonZeroU32::new(PERMITS).unwrap());
            let tag = Tag::of(&name);
            let keys = Keys {
                redis: t.redis.clone(),
                holders: t.redis.namespace().key("semaphore", &tag),
                fence: t.redis.namespace().part("semaphore", &tag, "f"),
            };
            let mut clients: [Option<Client>; CLIENTS] = [const { None }; CLIENTS];
            let mut highest = 0;
            for step in schedule {
                let used: u32 = clients.iter().flatten().filter(|c| c.live).map(|c| c.weight).sum();
                match step {
                    Step::Try(who, weight) if clients[who].is_none() => {
                        let asked = NonZeroU32::new(weight).unwrap();
                        let got = semaphore.try_acquire(asked).await.unwrap().acquired();
                        assert_eq!(got.is_some(), used + weight <= PERMITS, "{step:?} with {used} used");
                        let Some(guard) = got else { continue };
                        let fence = guard.fence().unwrap().get();
                        assert!(fence > highest, "{fence} after {highest}");
                        highest = fence;
                        clients[who] = Some(Client { guard, weight, live: true });
                    }
                    Step::Try(..) => {}
                    Step::Release(who) => {
                        let Some(client) = clients[who].take() else { continue };
                        let released = client.guard.release().await.unwrap();
                        assert_eq!(released == Released::InTime, client.live);
                    }
                    Step::Extend(who) => {
                        let Some(client) = &clients[who] else { continue };
                        assert_eq!(client.guard.extend().await.is_ok(), client.live);
                    }
                    Step::Expire(who) => {
                        let Some(client) = clients[who].as_mut().filter(|client| client.live) else { continue };
                        client.live = false;
                        keys.expire(client.guard.fence().unwrap()).await;
                    }
                    Step::Flush => {
                        let both = [&keys.holders, &keys.fence];
                        t.redis.command::<()>("DEL", &both, &Args::new()).await.unwrap();
                        clients.iter_mut().flatten().for_each(|client| client.live = false);
                    }
                }
            }
        }
    }

    /// A killed reader is missed after its lease; who waits is a writer, told by no release.
    async fn a_killed_reader_lets_the_writer_in_after_its_lease(t: TestRedis) {
        let environment = [("LOCK_URL", t.url()), ("LOCK_NAMESPACE", t.redis.namespace().as_str())];
        let mut worker = Worker::spawn_self_test("reader", &environment).unwrap();
        assert_eq!(worker.next_line(PATIENCE).await.unwrap(), "reading");
        let lock = Locks::new(t.redis.clone(), LockOptions::new()).rw_lock("a");
        assert!(lock.try_write().await.unwrap().acquired().is_none());
        let writer = tokio::spawn(async move { lock.write(PATIENCE).await.unwrap().acquired() });
        worker.kill().await.unwrap();
        assert!(writer.await.unwrap().is_some(), "a dead reader keeps the writer out");
    }
}

/// Holds a renewed read lock until it is killed.
#[test]
fn reader() {
    if !process::is_worker("reader") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let of = |name| std::env::var(name).unwrap();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(
        async {
            let namespace = redis_lock::Namespace::new(&of("LOCK_NAMESPACE")).unwrap();
            let redis = Redis::builder(&of("LOCK_URL")).namespace(namespace).connect().await.unwrap();
            let options = LockOptions::new().lease(Duration::from_millis(900)).unwrap();
            let locks = Locks::new(redis, options.renewed_for_at_most(Duration::from_secs(600)).unwrap());
            let _guard = locks.rw_lock("a").try_read().await.unwrap().acquired().unwrap();
            process::say("reading");
            let _ = lines.recv();
        },
    );
}

/// Replies that are lost on the way: taken once, given back once, extended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_replies_of_permits_take_and_give_back_once() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    let locks = Locks::new(redis.clone(), LockOptions::new().lease(Duration::from_secs(3_600)).unwrap());
    let one = locks.semaphore("a", NonZeroU32::MIN);
    let take = async || one.try_acquire(NonZeroU32::MIN).await.unwrap().acquired().expect("it is free");
    let _ = take().await.release().await.unwrap();
    for _ in 0..3 {
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        let guard = take().await;
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        assert!(guard.extend().await.is_err() && guard.fence().is_ok());
        guard.extend().await.unwrap();
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        assert!(guard.release().await.is_err());
        locks.close().await;
        let holders = t.redis.namespace().key("semaphore", &Tag::of("a"));
        eventually("the permit is given back", async || {
            t.redis.command::<i64>("EXISTS", &[&holders], &Args::new()).await.unwrap() == 0
        })
        .await;
    }
    assert_eq!(proxy.counts().lost_replies, 9);
}
