//! A lock on three independent servers, of which any one may fail.

#![allow(clippy::unwrap_used)]

mod common;

use common::Room;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use redis_lock::{
    Durability, Error, LockOptions, Locks, Lost, Namespace, Quorum, QuorumGuard, Redis, Released, TryLock,
};
use redis_patterns_core::{Args, Key, Tag};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::{eventually, own};
use redis_patterns_testkit::servers::{Options, Standalone};
use std::num::NonZeroU32;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(20);

struct Three {
    servers: Vec<Standalone>,
    redis: Vec<Redis>,
}

async fn connect(url: &str) -> Redis {
    Redis::builder(url).namespace(Namespace::new("quorum").unwrap()).connect().await.unwrap()
}

impl Three {
    async fn start() -> Self {
        let mut three = Self { servers: Vec::new(), redis: Vec::new() };
        for _ in 0..3 {
            let server = own::standalone(Options::new()).await;
            three.redis.push(connect(server.url()).await);
            three.servers.push(server);
        }
        three
    }

    fn quorum(&self) -> Quorum {
        Quorum::new(self.redis.clone(), LockOptions::new().lease(HOUR).unwrap()).unwrap()
    }

    /// Each server's lock: `token:fence`, if it has one.
    async fn locks(&self) -> Vec<Option<String>> {
        let mut values = Vec::new();
        for redis in &self.redis {
            values.push(redis.command("GET", &[&key(redis, "a")], &Args::new()).await.unwrap());
        }
        values
    }

    async fn expire(&self, node: usize) {
        let redis = &self.redis[node];
        redis.command::<()>("DEL", &[&key(redis, "a")], &Args::new()).await.unwrap();
    }
}

fn key(redis: &Redis, name: &str) -> Key {
    redis.namespace().key("lock", &Tag::of(name))
}

async fn take(quorum: &Quorum) -> QuorumGuard {
    quorum.try_lock("a").await.unwrap().acquired().expect("the lock is free")
}

/// A guard that rests on all three: on a busy machine one may be left behind as too slow.
async fn take_all_three(three: &Three, quorum: &Quorum) -> QuorumGuard {
    for _ in 0..100 {
        let guard = take(quorum).await;
        quorum.close().await;
        if three.locks().await.iter().all(Option::is_some) {
            return guard;
        }
        let _ = guard.release().await.unwrap();
        quorum.close().await;
    }
    panic!("never all three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_makes_a_lock_and_its_fence_is_written_back() {
    let three = Three::start().await;
    let quorum = three.quorum();
    // One server is ahead of the others by some minutes.
    let ahead = three.redis[2].namespace().part("lock", &Tag::of("a"), "f");
    let guard = take(&quorum).await;
    let far = guard.fence().unwrap().get() + 300_000_000;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    // Neither a grant nor a release waits for the last server.
    quorum.close().await;
    let args = Args::new().int(far.cast_signed()).word("PX").int(600_000);
    three.redis[2].command::<()>("SET", &[&ahead], &args).await.unwrap();

    let guard = take_all_three(&three, &quorum).await;
    let fence = guard.fence().unwrap().get();
    assert!((far + 1..=far + 100).contains(&fence), "{fence} is not of the server that is ahead, {far}");
    for value in three.locks().await {
        assert!(value.unwrap().ends_with(&format!(":{fence}")), "the fence was not written back");
    }
    assert!(matches!(quorum.try_lock("a").await.unwrap(), TryLock::Busy { .. }));
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    quorum.close().await;
    assert_eq!(three.locks().await, [None, None, None]);

    // The one that was ahead is down: the others remember.
    three.servers[2].node().kill().unwrap();
    let guard = take(&quorum).await;
    assert!(guard.fence().unwrap().get() > fence, "the fence went back with the server that issued it");
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_may_fail_and_two_may_not() {
    let three = Three::start().await;
    let quorum = three.quorum();
    let guard = take_all_three(&three, &quorum).await;
    three.servers[0].node().kill().unwrap();
    guard.extend().await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    let guard = take(&quorum).await;
    three.servers[1].node().kill().unwrap();
    assert!(matches!(guard.extend().await, Err(Error::Redis(_))));
    assert!(guard.fence().is_ok(), "one failed extension is no loss");
    assert!(matches!(quorum.try_lock("b").await, Err(Error::Redis(_))));
    assert!(matches!(guard.release().await, Err(Error::Redis(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_elsewhere_and_a_lost_majority() {
    let three = Three::start().await;
    let quorum = three.quorum();
    // Another holder on one server keeps nobody out.
    let alone = Locks::new(three.redis[1].clone(), LockOptions::new().lease(HOUR).unwrap());
    let other = alone.try_lock("a").await.unwrap().acquired().unwrap();
    let guard = take(&quorum).await;
    three.expire(0).await;
    assert!(matches!(guard.extend().await, Err(Error::Lost(Lost::Gone))));
    assert_eq!(guard.fence(), Err(Lost::Gone));
    assert_eq!(guard.release().await.unwrap(), Released::Lapsed);
    assert_eq!(other.release().await.unwrap(), Released::InTime);
    // Two of three busy: nothing stays on the third.
    let others = [
        Locks::new(three.redis[0].clone(), LockOptions::new()),
        Locks::new(three.redis[1].clone(), LockOptions::new()),
    ];
    let _held = [others[0].try_lock("a").await.unwrap(), others[1].try_lock("a").await.unwrap()];
    assert!(matches!(quorum.try_lock("a").await.unwrap(), TryLock::Busy { .. }));
    quorum.close().await;
    assert_eq!(three.locks().await[2], None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_guards_and_calls_leave_no_lock() {
    let three = Three::start().await;
    let quorum = three.quorum();
    drop(take(&quorum).await);
    for micros in 0..200 {
        let _ = tokio::time::timeout(Duration::from_micros(micros * 10), quorum.try_lock("a")).await;
    }
    quorum.close().await;
    eventually("no server has the lock", async || three.locks().await == [None, None, None]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_not_waited_for_and_keeps_no_lock() {
    let three = Three::start().await;
    let proxy = Proxy::start(three.servers[2].url()).await.unwrap();
    let mut redis = three.redis.clone();
    redis[2] = connect(&proxy.url()).await.with_deadline(PATIENCE);
    let quorum = Quorum::new(redis, LockOptions::new().lease(HOUR).unwrap()).unwrap();
    let guard = take(&quorum).await;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    quorum.close().await;
    proxy.stall();
    let guard = take(&quorum).await;
    assert_eq!(three.locks().await.iter().filter(|lock| lock.is_some()).count(), 2);
    proxy.resume();
    // The late grant is given back, the others stay; it counts for no extension, however late.
    eventually("the late server is free", async || three.locks().await[2].is_none()).await;
    assert!(three.locks().await[0].is_some());
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    // A reply that is lost is no grant, but does not keep out the next.
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    let guard = take(&quorum).await;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    quorum.close().await;
    assert_eq!(three.locks().await, [None, None, None]);
}

/// What a server grants after the lock was taken is being given back, so its vote would count for a
/// moment only: another could then have a majority too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_came_too_late_counts_for_no_extension() {
    let three = Three::start().await;
    let proxy = Proxy::start(three.servers[2].url()).await.unwrap();
    let mut redis = three.redis.clone();
    redis[2] = connect(&proxy.url()).await.with_deadline(PATIENCE);
    let quorum = Quorum::new(redis, LockOptions::new().lease(HOUR).unwrap()).unwrap();
    let warm = take(&quorum).await;
    assert_eq!(warm.release().await.unwrap(), Released::InTime);
    quorum.close().await;
    proxy.stall();
    let guard = take(&quorum).await;
    let [Some(mine), _, None] = &three.locks().await[..] else { panic!("the third was not stalled") };
    // As if its late grant stood, and one of the two had forgotten.
    let args = Args::new().bytes(mine.clone()).word("PX").int(3_600_000);
    three.redis[2].command::<()>("SET", &[&key(&three.redis[2], "a")], &args).await.unwrap();
    three.expire(0).await;
    assert!(matches!(guard.extend().await, Err(Error::Lost(Lost::Gone))));
    assert_eq!(guard.release().await.unwrap(), Released::Lapsed);
    proxy.heal();
    quorum.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_holds_up_no_extension_and_no_release() {
    let three = Three::start().await;
    let proxy = Proxy::start(three.servers[2].url()).await.unwrap();
    let mut redis = three.redis.clone();
    // What waits for the third would wait past the time that the test has.
    redis[2] = connect(&proxy.url()).await.with_deadline(HOUR);
    let quorum = Quorum::new(redis, LockOptions::new().lease(HOUR).unwrap()).unwrap();
    let guard = take_all_three(&three, &quorum).await;
    proxy.stall();
    tokio::time::timeout(PATIENCE, guard.extend()).await.expect("it waited for the third").unwrap();
    let released = tokio::time::timeout(PATIENCE, guard.release()).await.expect("it waited for the third");
    assert_eq!(released.unwrap(), Released::InTime);
    proxy.heal();
    eventually("the third is freed too", async || three.locks().await[2].is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contenders_hold_it_one_at_a_time() {
    let three = Three::start().await;
    let room = Room::default();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (quorum, room) = (three.quorum(), room.clone());
            tokio::spawn(async move {
                let mut fences = Vec::new();
                for _ in 0..5 {
                    let guard = quorum.lock("a", PATIENCE).await.unwrap().acquired().unwrap();
                    room.visit().await;
                    fences.push(guard.fence().unwrap());
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
                fences
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let fences = tokio::time::timeout(PATIENCE * 2, task).await.unwrap().unwrap();
        assert!(fences.is_sorted_by(|earlier, later| earlier < later));
        all.extend(fences);
    }
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "a fence was issued twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_that_a_quorum_cannot_keep_are_refused() {
    let three = Three::start().await;
    let refused = |servers: &[Redis], options: LockOptions| {
        matches!(Quorum::new(servers.to_vec(), options), Err(Error::Options(_)))
    };
    assert!(refused(&three.redis[..2], LockOptions::new()));
    assert!(refused(&three.redis, LockOptions::new().renewed_for_at_most(HOUR).unwrap()));
    assert!(refused(&three.redis, LockOptions::new().durability(Durability::Replicas(NonZeroU32::MIN))));
    let mut mixed = three.redis.clone();
    mixed[1] = mixed[1].with_namespace(Namespace::new("other").unwrap());
    assert!(refused(&mixed, LockOptions::new()));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Try(usize),
    Release(usize),
    Extend(usize),
    /// One server's lease ends.
    Expire(usize),
}

fn schedules(how_many: usize) -> Vec<Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(Step::Try),
        2 => (0..3_usize).prop_map(Step::Release),
        2 => (0..3_usize).prop_map(Step::Extend),
        3 => (0..3_usize).prop_map(Step::Expire),
    ];
    let steps = proptest::collection::vec(step, 1..50);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..how_many).map(|_| steps.new_tree(&mut runner).unwrap().current()).collect()
}

/// Three clients, three servers, leases that end on each by itself. The model knows which servers have
/// whose grant: a try succeeds just where a majority is free, and fences rise from grant to grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_agree_with_the_model() {
    let three = Three::start().await;
    let quorum = three.quorum();
    let mut grants = 0;
    for schedule in schedules(25) {
        let mut guards: [Option<QuorumGuard>; 3] = [None, None, None];
        // Which client each server has.
        let mut holds: [Option<usize>; 3] = [None; 3];
        let mut highest = 0;
        for step in schedule {
            match step {
                Step::Try(who) if guards[who].is_none() => {
                    let got = quorum.try_lock("a").await.unwrap().acquired();
                    // A try that failed gives back what it had; a server it left behind as too slow, too.
                    quorum.close().await;
                    let free = holds.iter().filter(|hold| hold.is_none()).count();
                    assert_eq!(got.is_some(), free >= 2, "{step:?} with {holds:?}");
                    let Some(guard) = got else { continue };
                    let fence = guard.fence().unwrap().get();
                    assert!(fence > highest, "{fence} after {highest}");
                    highest = fence;
                    grants += 1;
                    for (hold, value) in holds.iter_mut().zip(three.locks().await) {
                        if hold.is_none() && value.is_some() {
                            *hold = Some(who);
                        }
                    }
                    guards[who] = Some(guard);
                }
                Step::Try(_) => {}
                Step::Release(who) => {
                    let Some(guard) = guards[who].take() else { continue };
                    let mine = holds.iter().filter(|hold| **hold == Some(who)).count();
                    assert_eq!(guard.release().await.unwrap() == Released::InTime, mine >= 2);
                    // The answer does not wait for the last server.
                    quorum.close().await;
                    holds.iter_mut().filter(|hold| **hold == Some(who)).for_each(|hold| *hold = None);
                }
                Step::Extend(who) => {
                    let Some(guard) = &guards[who] else { continue };
                    let mine = holds.iter().filter(|hold| **hold == Some(who)).count();
                    let lost_before = guard.fence().is_err();
                    assert_eq!(guard.extend().await.is_ok(), mine >= 2 && !lost_before);
                }
                Step::Expire(node) => {
                    three.expire(node).await;
                    holds[node] = None;
                }
            }
        }
        drop(guards);
        quorum.close().await;
        for node in 0..3 {
            three.expire(node).await;
        }
    }
    println!("{grants} grants");
    assert!(grants > 50, "too few to prove anything");
}
