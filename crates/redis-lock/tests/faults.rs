//! Lost replies, black holes, flushed scripts, killed holders, full memory.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, LockGuard, LockOptions, Locks, Namespace, Redis, Released};
use redis_patterns_core::{Args, BootInstant, Executed, Key, Tag};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::{self, Match, Proxy, stats};
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn locks(redis: &Redis) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(Duration::from_secs(3_600)).unwrap())
}

fn key(redis: &Redis) -> Key {
    redis.namespace().key("lock", &Tag::of("a"))
}

async fn take(locks: &Locks) -> LockGuard {
    locks.try_lock("a").await.unwrap().acquired().expect("the lock is free")
}

/// Waits for the lock to be freed, far within its lease of an hour.
async fn freed(redis: &Redis) {
    let lock = key(redis);
    let gone = async || redis.command::<i64>("EXISTS", &[&lock], &Args::new()).await.unwrap() == 0;
    eventually("the lock is freed before its lease ends", gone).await;
}

/// A handle that reaches the server through a proxy, which stands before a single server.
async fn behind_proxy(t: &TestRedis) -> (Proxy, Redis) {
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    (proxy, redis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_a_request_finds_its_own_lock() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = behind_proxy(&t).await;
    let locks = locks(&redis);
    // Once before, so that the script is known and the next EVALSHA runs it.
    let _ = take(&locks).await.release().await.unwrap();
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    let guard = take(&locks).await;
    assert_eq!(proxy.counts().lost_replies, 1);
    let stored: String = t.redis.command("GET", &[&key(&t.redis)], &Args::new()).await.unwrap();
    assert!(stored.ends_with(&format!(":{}", guard.fence().unwrap())), "the first grant is the one");
    assert_eq!(guard.release().await.unwrap(), Released::InTime);

    proxy.cut_inside_reply(1, Match::Command("EVALSHA"));
    let guard = take(&locks).await;
    assert_eq!(proxy.counts().cut_replies, 1);
    assert_eq!(guard.release().await.unwrap(), Released::InTime);

    proxy.cut_inside_request(1, Match::Command("EVALSHA"));
    let guard = take(&locks).await;
    assert_eq!(proxy.counts().cut_requests, 1);
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_nobody_answers_is_taken_back() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = behind_proxy(&t).await;
    let redis = redis.with_deadline(Duration::from_millis(300));
    let locks = locks(&redis);
    let _ = take(&locks).await.release().await.unwrap();
    proxy.stall();
    let started = BootInstant::now();
    let Err(Error::Redis(error)) = locks.try_lock("a").await else { panic!("a black hole answers") };
    assert_eq!(error.executed(), Executed::Maybe);
    assert!(started.elapsed() < PATIENCE);
    // The request was held, not lost: it takes the lock now, when nobody waits for it any more.
    proxy.resume();
    locks.close().await;
    freed(&t.redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_a_release_frees_the_lock_all_the_same() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = behind_proxy(&t).await;
    let locks = locks(&redis);
    let _ = take(&locks).await.release().await.unwrap();
    let guard = take(&locks).await;
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    let Err(Error::Redis(error)) = guard.release().await else { panic!("the reply was lost") };
    assert_eq!(error.executed(), Executed::Maybe);
    freed(&t.redis).await;

    let guard = take(&locks).await;
    proxy.cut_inside_request(1, Match::Command("EVALSHA"));
    assert!(guard.release().await.is_err());
    assert_eq!(proxy.counts().cut_requests, 1);
    freed(&t.redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_dropped_while_redis_is_away_is_freed_when_it_is_back() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = behind_proxy(&t).await;
    let redis = redis.with_deadline(Duration::from_millis(200));
    let locks = locks(&redis);
    let guard = take(&locks).await;
    let connections = proxy.counts().connections;
    proxy.refuse();
    proxy.cut_all();
    // Until every connection is cut, the release could still pass.
    eventually("every connection is cut", async || proxy.counts().cuts >= connections).await;
    drop(guard);
    eventually("the client comes back", async || proxy.counts().refused >= 3).await;
    assert_eq!(t.redis.command::<i64>("EXISTS", &[&key(&t.redis)], &Args::new()).await.unwrap(), 1);
    proxy.accept();
    freed(&t.redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_failed_leaves_the_lock_held() {
    let Some(t) = TestRedis::standalone().await else { return };
    let (proxy, redis) = behind_proxy(&t).await;
    let guard = take(&locks(&redis)).await;
    guard.extend().await.unwrap();
    proxy.lose_replies(1, Match::Command("EVALSHA"));
    assert!(matches!(guard.extend().await, Err(Error::Redis(_))));
    assert!(guard.fence().is_ok(), "one failed extension is no loss");
    guard.extend().await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

on_every_topology! {
    async fn a_flushed_script_cache_costs_no_error(t: TestRedis) {
        let locks = locks(&t.redis);
        for _ in 0..3 {
            let guard = take(&locks).await;
            for mut node in t.admin_nodes() {
                node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
            }
            guard.extend().await.unwrap();
            for mut node in t.admin_nodes() {
                node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
            }
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
        }
    }

    async fn the_lock_of_a_killed_holder_is_free_after_its_lease(t: TestRedis) {
        let environment = [("LOCK_URL", t.url()), ("LOCK_NAMESPACE", t.redis.namespace().as_str())];
        let mut worker = Worker::spawn_self_test("holder", &environment).unwrap();
        let fence: u64 = worker.next_line(PATIENCE).await.unwrap().parse().unwrap();
        let locks = locks(&t.redis);
        assert!(locks.try_lock("a").await.unwrap().acquired().is_none());
        worker.kill().await.unwrap();
        // Nothing tells of a death: it is found when the lease has ended.
        let guard = locks.lock("a", PATIENCE).await.unwrap().acquired().expect("a dead holder is missed");
        assert!(guard.fence().unwrap().get() > fence);
    }
}

/// Holds a renewed lock until it is killed.
#[test]
fn holder() {
    if !process::is_worker("holder") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let of = |name| std::env::var(name).unwrap();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(
        async {
            let namespace = Namespace::new(&of("LOCK_NAMESPACE")).unwrap();
            let redis = Redis::builder(&of("LOCK_URL")).namespace(namespace).connect().await.unwrap();
            let options = LockOptions::new().lease(Duration::from_millis(900)).unwrap();
            let locks = Locks::new(redis, options.renewed_for_at_most(Duration::from_secs(600)).unwrap());
            let guard = take(&locks).await;
            process::say(&guard.fence().unwrap().to_string());
            let _ = lines.recv();
        },
    );
}

/// What gives back runs at full memory; what takes is refused, having done nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_memory_refuses_a_new_lock_and_lets_go_of_an_old_one() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let locks = locks(&redis);
    let guard = take(&locks).await;
    faults::redis::config_set(&[server.url()], "maxmemory", "1").await.unwrap();
    let Err(Error::Redis(error)) = locks.try_lock("b").await else { panic!("there is no memory") };
    assert_eq!((error.code(), error.executed()), (Some("OOM"), Executed::No));
    guard.extend().await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// Alone on its server, since the count is over all clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_extending_and_releasing_cost_one_round_trip_each() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let locks = locks(&redis);
    let cycle = async || {
        let guard = take(&locks).await;
        assert!(locks.try_lock("a").await.unwrap().acquired().is_none());
        guard.extend().await.unwrap();
        let _ = guard.release().await.unwrap();
    };
    cycle().await;
    let ((), cost) = stats::round_trips(&[server.url()], cycle).await.unwrap();
    assert_eq!((cost.sent.total(), cost.sent.of("EVALSHA")), (4, 4), "{cost:?}");
}
