//! Faults that other lock libraries have had, by the numbers of our study; each named test fails on
//! a lock that has the fault. Those that need more room have their own files: failover and eviction
//! (1, 2) `fence_monotonic`, the gap before the first write (6) and the check in the write's own
//! transaction (5) `downstream_*`, silent loss (7) `lost_before_expiry`, cancellation (17)
//! `cancel_storm`. A clock that stands still in suspend (9) is not tested: no test suspends a machine.

#![allow(clippy::unwrap_used)]

use redis_lock::{
    Durability, Error, FencedRegister, FencingToken, LockGuard, LockOptions, Locks, Redis, Released,
};
use redis_patterns_core::{Args, BootInstant, Key, Tag};
use redis_patterns_testkit::faults::{Match, Proxy, stats};
use redis_patterns_testkit::harness::{TestRedis, eventually, own};
use redis_patterns_testkit::on_every_topology;
use redis_patterns_testkit::servers::Options;
use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn locks(redis: &Redis, lease: Duration) -> Locks {
    Locks::new(redis.clone(), LockOptions::new().lease(lease).unwrap())
}

fn key(redis: &Redis) -> Key {
    redis.namespace().key("lock", &Tag::of("a"))
}

async fn get(redis: &Redis, key: &Key) -> Option<String> {
    redis.command("GET", &[key], &Args::new()).await.unwrap()
}

async fn take(locks: &Locks) -> LockGuard {
    locks.try_lock("a").await.unwrap().acquired().expect("the lock is free")
}

async fn expire(redis: &Redis) {
    redis.command::<()>("PEXPIREAT", &[&key(redis)], &Args::new().int(1)).await.unwrap();
}

on_every_topology! {
    /// A counter raised after the lock was taken gives the later number to the earlier holder, if
    /// that one pauses between the two.
    async fn p3_the_fence_is_issued_in_the_step_that_takes_the_lock(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let first = take(&locks).await;
        expire(&t.redis).await;
        let second = take(&locks).await;
        assert!(first.fence().unwrap() < second.fence().unwrap());
        let stored = get(&t.redis, &key(&t.redis)).await.unwrap();
        assert!(stored.ends_with(&format!(":{}", second.fence().unwrap())));
    }

    /// A fence read back from Redis is the successor's, which lets a late holder pass.
    async fn p4_a_late_holder_never_learns_its_successors_fence(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let late = take(&locks).await;
        let mine = late.fence().unwrap();
        expire(&t.redis).await;
        let successor = take(&locks).await;
        assert_eq!(late.fence().unwrap(), mine);
        assert!(late.extend().await.is_err());
        assert!(late.fence().is_err());
        assert!(late.raise_fence(successor.fence().unwrap()).await.is_err());
    }

    /// An extension that sets the key anew takes a lock that somebody else may have had meanwhile.
    async fn p10_a_guard_that_lost_its_lock_does_not_take_it_again(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let guard = take(&locks).await;
        expire(&t.redis).await;
        assert!(guard.extend().await.is_err());
        assert_eq!(get(&t.redis, &key(&t.redis)).await, None);
    }

    /// Milliseconds taken for seconds make a lease of ten seconds one of three hours.
    async fn p12_a_lease_is_as_long_as_it_says(t: TestRedis) {
        for lease in [Duration::from_millis(1_500), Duration::from_secs(10), HOUR] {
            let guard = take(&locks(&t.redis, lease)).await;
            let left = t.ttl_ms(key(&t.redis).as_str()).await;
            let asked = i64::try_from(lease.as_millis()).unwrap();
            assert!(left <= asked && left > asked / 2, "{left} ms of {lease:?}");
            guard.extend().await.unwrap();
            assert!(t.ttl_ms(key(&t.redis).as_str()).await <= asked);
            let _ = guard.release().await.unwrap();
        }
    }

    /// A release between the look and the sleep of a waiter must not be missed.
    async fn p13_no_wake_up_is_lost(t: TestRedis) {
        let mine = locks(&t.redis, HOUR);
        let other = locks(&t.another().await, HOUR);
        for _ in 0..100 {
            let guard = take(&mine).await;
            let waiting = tokio::spawn({ let other = other.clone(); async move { other.lock("a", PATIENCE).await } });
            // Anywhere between before its look and long after.
            tokio::task::yield_now().await;
            let started = BootInstant::now();
            let _ = guard.release().await.unwrap();
            let guard = waiting.await.unwrap().unwrap().acquired().unwrap();
            assert!(started.elapsed() < Duration::from_millis(900), "found by a timer, not told");
            let _ = guard.release().await.unwrap();
        }
    }

    /// Keys of one lock on two nodes are refused by a cluster.
    async fn p19_all_keys_of_a_lock_share_a_slot(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        for number in 0..50 {
            let guard = locks.try_lock(format!("lock-{number}")).await.unwrap().acquired().unwrap();
            guard.extend().await.unwrap();
            assert_eq!(guard.release().await.unwrap(), Released::InTime);
        }
    }

    /// A number past 2^53 loses digits in Lua, and 1e15 as text is no number for the next reader.
    async fn p24_a_fence_is_written_in_full(t: TestRedis) {
        let guard = take(&locks(&t.redis, HOUR)).await;
        let fence = t.redis.namespace().part("lock", &Tag::of("a"), "f");
        assert_eq!(get(&t.redis, &fence).await, Some(guard.fence().unwrap().to_string()));
    }

    /// A token of the process instead of the grant lets an earlier guard free a later one.
    async fn p25_every_grant_has_a_token_of_its_own(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let mut tokens = HashSet::new();
        for _ in 0..50 {
            let guard = take(&locks).await;
            let value = get(&t.redis, &key(&t.redis)).await.unwrap();
            assert!(tokens.insert(value.split(':').next().unwrap().to_owned()));
            let _ = guard.release().await.unwrap();
        }
        let late = take(&locks).await;
        expire(&t.redis).await;
        let present = take(&locks).await;
        drop(late);
        locks.close().await;
        assert_eq!(present.release().await.unwrap(), Released::InTime);
    }
}

on_every_topology! {
    /// `fence <= seen` refuses the holder's own second write.
    async fn p5_a_holder_may_write_twice_and_a_late_one_not_once(t: TestRedis) {
        let register = FencedRegister::new(t.redis.clone(), HOUR);
        let locks = locks(&t.redis, HOUR);
        let late = take(&locks).await.fence().unwrap();
        locks.close().await;
        let fence = take(&locks).await.fence().unwrap();
        for value in ["first", "second"] {
            assert!(register.write("a", fence, value).await.unwrap().is_admitted());
        }
        assert!(!register.write("a", late, "late").await.unwrap().is_admitted());
        assert_eq!(register.read("a").await.unwrap().as_deref(), Some(&b"second"[..]));
    }

    /// Nothing tells that a lease has ended; who waits only for news waits for ever.
    async fn p15_the_end_of_a_dead_holders_lease_is_found_by_a_timer(t: TestRedis) {
        let dead = take(&locks(&t.redis, Duration::from_millis(300))).await;
        let next = locks(&t.redis, HOUR).lock("a", PATIENCE).await.unwrap().acquired();
        assert!(next.expect("it is found").fence().unwrap() > FencingToken::new(1).unwrap());
        assert!(dead.fence().is_err());
    }

    /// A server that forgot the scripts answers NOSCRIPT, also to a batch.
    async fn p18_forgotten_scripts_cost_no_error(t: TestRedis) {
        let options = LockOptions::new().lease(Duration::from_millis(900)).unwrap();
        let locks = Locks::new(t.redis.clone(), options.renewed_for_at_most(HOUR).unwrap());
        let guards = [locks.try_lock("a").await.unwrap(), locks.rw_lock("a").try_write().await.unwrap()];
        let started = BootInstant::now();
        while started.elapsed() < Duration::from_secs(2) {
            for mut node in t.admin_nodes() {
                node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
            }
            // Everything that is renewed meanwhile meets an empty cache.
            tokio::task::yield_now().await;
        }
        for guard in guards {
            assert_eq!(guard.acquired().unwrap().release().await.unwrap(), Released::InTime);
        }
    }

    /// Keys of one read-write lock or semaphore on two nodes are refused by a cluster.
    async fn p19_all_keys_of_permits_share_a_slot(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        for number in 0..20 {
            let name = format!("lock-{number}");
            let permit = locks.semaphore(&name, NonZeroU32::MIN).try_acquire(NonZeroU32::MIN).await.unwrap();
            let writer = locks.rw_lock(&name).try_write().await.unwrap();
            for guard in [permit, writer] {
                let guard = guard.acquired().unwrap();
                guard.extend().await.unwrap();
                assert_eq!(guard.release().await.unwrap(), Released::InTime);
            }
        }
    }

    /// One TTL for all readers keeps a dead one for as long as any other renews.
    async fn p21_a_reader_that_renews_does_not_keep_a_dead_one(t: TestRedis) {
        let short = locks(&t.redis, Duration::from_millis(300)).rw_lock("a");
        let dead = short.try_read().await.unwrap().acquired().unwrap();
        let long = locks(&t.redis, HOUR).rw_lock("a");
        let live = long.try_read().await.unwrap().acquired().unwrap();
        live.extend().await.unwrap();
        let writer = tokio::spawn(async move { long.write(PATIENCE).await.unwrap().acquired() });
        assert_eq!(live.release().await.unwrap(), Released::InTime);
        assert!(writer.await.unwrap().is_some(), "the dead reader keeps the writer out");
        assert!(dead.fence().is_err());
    }

    /// A counter beside the holders drifts with every crash and every lost reply.
    async fn p22_permits_are_counted_from_their_holders(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let three = locks.semaphore("a", NonZeroU32::new(3).unwrap());
        let holders = t.redis.namespace().key("semaphore", &Tag::of("a"));
        for round in 0..60_u64 {
            let call = three.acquire(NonZeroU32::MIN, Duration::from_millis(5));
            let answer = tokio::time::timeout(Duration::from_micros(round * 50), call).await;
            match answer {
                Ok(answer) if round % 3 == 0 => std::mem::forget(answer),
                _ => {}
            }
            if round % 10 == 9 {
                t.redis.command::<()>("DEL", &[&holders], &Args::new()).await.unwrap();
            }
        }
        locks.close().await;
        t.redis.command::<()>("DEL", &[&holders], &Args::new()).await.unwrap();
        let all = three.acquire(NonZeroU32::new(3).unwrap(), PATIENCE).await.unwrap().acquired();
        assert!(all.is_some(), "permits are missing");
        assert!(three.try_acquire(NonZeroU32::MIN).await.unwrap().acquired().is_none(), "there are too many");
    }

    /// A release of several that stops where one was lost leaves the others to their leases.
    async fn p23_a_release_of_several_frees_what_is_left(t: TestRedis) {
        let locks = locks(&t.redis, HOUR);
        let all = locks.lock_all(&["b", "a", "c"], PATIENCE).await.unwrap().acquired().unwrap();
        expire(&t.redis).await;
        assert_eq!(all.release().await.unwrap(), Released::Lapsed);
        assert!(locks.lock_all(&["a", "b", "c"], Duration::ZERO).await.unwrap().acquired().is_some());
    }
}

/// A clock of the client in a command decides on the server, however wrong it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p8_no_command_carries_the_clients_time() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let mut admin = server.node().conn().unwrap();
    admin.cmd(&["CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "1000"]).unwrap();
    let locks = locks(&redis, HOUR);
    let guard = take(&locks).await;
    assert!(locks.lock("a", Duration::from_millis(20)).await.unwrap().acquired().is_none());
    guard.extend().await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    let writer = locks.rw_lock("a").try_write().await.unwrap().acquired().unwrap();
    writer.extend().await.unwrap();
    assert_eq!(writer.release().await.unwrap(), Released::InTime);
    let log = admin.cmd(&["SLOWLOG", "GET", "1000"]).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut seen = 0;
    for entry in log.items() {
        let words = entry.items()[3].items();
        // What a script calls is logged too; its times are the server's.
        if !words[0].text().starts_with("EVAL") {
            continue;
        }
        seen += 1;
        for word in words {
            let Ok(number) = word.text().parse::<f64>() else { continue };
            for unit in [1.0, 1e3, 1e6] {
                let apart = (number / unit - now.as_secs_f64()).abs();
                assert!(apart > 86_400.0, "{number} is a time: {:?}", words[0].text());
            }
        }
    }
    assert!(seen >= 7, "too few commands were seen: {seen}");
}

/// A broadcast at each release makes every waiter ask: requests grow with the square of the waiters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_release_wakes_one_waiter() {
    const WAITERS: u64 = 24;
    const EACH: u64 = 4;
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let locks = locks(&redis, HOUR);
    let contend = async || {
        let first = take(&locks).await;
        let tasks: Vec<_> = (0..WAITERS)
            .map(|_| {
                let locks = locks.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        let guard = locks.lock("a", PATIENCE).await.unwrap().acquired().unwrap();
                        let _ = guard.release().await.unwrap();
                    }
                })
            })
            .collect();
        let _ = first.release().await.unwrap();
        for task in tasks {
            task.await.unwrap();
        }
    };
    contend().await;
    let ((), cost) = stats::round_trips(&[server.url()], contend).await.unwrap();
    let requests = cost.sent.of("EVALSHA");
    println!("{requests} requests for {} acquisitions by {WAITERS} waiters", WAITERS * EACH);
    // Three for each, a first look for each waiter, and room for signs of life on a slow machine.
    assert!(requests <= (4 * EACH + 2) * WAITERS, "{requests}");
}

/// WAIT on a connection that others use makes all of them wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p20_waiting_for_replicas_has_a_connection_of_its_own() {
    let server = own::standalone(Options::new()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let durability = Durability::Replicas(NonZeroU32::MIN);
    let durable = Locks::new(redis.clone(), LockOptions::new().durability(durability));
    let waits = tokio::spawn(async move { durable.try_lock("a").await.map(drop) });
    eventually("one waits for replicas", async || {
        server.node().conn().unwrap().info("clients", "blocked_clients").unwrap() == "1"
    })
    .await;
    let answered = redis.keyless::<String>("PING", &Args::new()).await.unwrap();
    assert!(answered == "PONG" && !waits.is_finished(), "it waited behind WAIT");
    assert!(matches!(waits.await.unwrap(), Err(Error::TooFewReplicas { acknowledged: 0 })));
}

/// An answer that took longer than the lease is no lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_a_lock_that_came_too_late_is_an_error() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url())
        .namespace(t.redis.namespace().clone())
        .command_deadline(PATIENCE)
        .connect()
        .await
        .unwrap();
    let locks = locks(&redis, Duration::from_millis(100));
    let _ = take(&locks).await.release().await.unwrap();
    proxy.delay(Duration::from_millis(150));
    assert!(matches!(locks.try_lock("a").await, Err(Error::Lost(_))));
    assert!(proxy.counts().delayed > 0);
}

/// A client that sends SET NX again after a cut meets its own key and waits for its own lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p16_a_request_sent_again_is_not_kept_out_by_itself() {
    let Some(t) = TestRedis::standalone().await else { return };
    let proxy = Proxy::start(t.url()).await.unwrap();
    let redis = Redis::builder(&proxy.url()).namespace(t.redis.namespace().clone()).connect().await.unwrap();
    let locks = locks(&redis, HOUR);
    let _ = take(&locks).await.release().await.unwrap();
    for _ in 0..3 {
        proxy.lose_replies(1, Match::Command("EVALSHA"));
        let guard = take(&locks).await;
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }
    assert_eq!(proxy.counts().lost_replies, 3);
}
