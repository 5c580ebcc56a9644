//! Random schedules against the rule itself: one holder at a time, and fences that rise.

#![allow(clippy::unwrap_used)]

mod common;

use common::Room;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use redis_lock::{LockGuard, LockOptions, Locks, Released};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug)]
enum Step {
    Try(usize),
    Release(usize),
    Extend(usize),
    /// The server's lease ends.
    Expire,
    /// The server forgets everything.
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(Step::Try),
        3 => (0..3_usize).prop_map(Step::Release),
        2 => (0..3_usize).prop_map(Step::Extend),
        1 => Just(Step::Expire),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec(step, 1..60)
}

/// The same schedules on every run.
fn schedules(how_many: usize) -> Vec<Vec<Step>> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..how_many).map(|_| steps().new_tree(&mut runner).unwrap().current()).collect()
}

on_every_topology! {
    /// Three clients, one name. The model knows who holds; guards whose lease the server ended are
    /// late holders, which must notice at their next word to the server.
    async fn schedules_agree_with_the_model(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        for (number, schedule) in schedules(40).into_iter().enumerate() {
            let name = format!("lock-{number}");
            let tag = Tag::of(&name);
            let lock = t.redis.namespace().key("lock", &tag);
            let fence = t.redis.namespace().part("lock", &tag, "f");
            let mut guards: [Option<LockGuard>; 3] = [None, None, None];
            let (mut holder, mut highest) = (None, 0);
            for step in schedule {
                match step {
                    Step::Try(who) => {
                        let got = locks.try_lock(&name).await.unwrap().acquired();
                        assert_eq!(got.is_some(), holder.is_none(), "{step:?} with holder {holder:?}");
                        let Some(guard) = got else { continue };
                        let issued = guard.fence().unwrap().get();
                        assert!(issued > highest, "{issued} after {highest}");
                        highest = issued;
                        holder = Some(who);
                        if let Some(late) = guards[who].replace(guard) {
                            assert_eq!(late.release().await.unwrap(), Released::Lapsed);
                        }
                    }
                    Step::Release(who) => {
                        let Some(guard) = guards[who].take() else { continue };
                        let in_time = guard.release().await.unwrap() == Released::InTime;
                        assert_eq!(in_time, holder == Some(who));
                        if in_time { holder = None; }
                    }
                    Step::Extend(who) => {
                        let Some(guard) = &guards[who] else { continue };
                        assert_eq!(guard.extend().await.is_ok(), holder == Some(who));
                    }
                    Step::Expire => {
                        t.redis.command::<()>("PEXPIREAT", &[&lock], &Args::new().int(1)).await.unwrap();
                        holder = None;
                    }
                    Step::Flush => {
                        t.redis.command::<()>("DEL", &[&lock, &fence], &Args::new()).await.unwrap();
                        holder = None;
                    }
                }
            }
        }
    }

    /// Eight tasks race for one lock; a counter guarded by nothing else loses no update.
    async fn racing_tasks_hold_the_lock_one_at_a_time(t: TestRedis) {
        let locks = Locks::new(t.redis.clone(), LockOptions::new());
        let (room, done) = (Room::default(), Arc::new(AtomicU64::new(0)));
        let tasks: Vec<_> = (0..8).map(|_| {
            let (locks, room, done) = (locks.clone(), room.clone(), done.clone());
            tokio::spawn(async move {
                while done.load(Ordering::SeqCst) < 100 {
                    let Some(guard) = locks.try_lock("hot").await.unwrap().acquired() else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    room.visit().await;
                    done.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(done.load(Ordering::SeqCst) >= 100);
    }
}
