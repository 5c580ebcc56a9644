//! A cluster that moves slots and loses primaries under load.

use redis_patterns_core::{Args, Error, ErrorKind, Executed, Key, Notice, Redis, Script, Subscription, Tag};
use redis_patterns_testkit::faults::redis::SlotMove;
use redis_patterns_testkit::harness::own;
use redis_patterns_testkit::servers::{Cluster, Options};
use std::time::{Duration, Instant};

static ADD_TO_BOTH: Script = Script::new(
    "test/add_to_both",
    "#!lua\n-- add_to_both: add to two numbers.\n-- KEYS[1] n\n-- KEYS[2] m\n-- ARGV[1] by\nredis.call('INCRBY', KEYS[2], ARGV[1])\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])",
);

struct Pair {
    left: Key,
    right: Key,
}

fn pair(redis: &Redis, id: &str) -> Pair {
    let tag = Tag::of(id);
    Pair { left: redis.namespace().key("t", &tag), right: redis.namespace().part("t", &tag, "x") }
}

async fn add(redis: &Redis, pair: &Pair) -> Result<i64, Error> {
    redis.run(&ADD_TO_BOTH, &[&pair.left, &pair.right], &Args::new().int(1)).await
}

async fn add_until_it_works(redis: &Redis, pair: &Pair, within: Duration) -> i64 {
    let until = Instant::now() + within;
    loop {
        match add(redis, pair).await {
            Ok(count) => return count,
            Err(error) => assert!(error.is_passing() && Instant::now() < until, "{error}"),
        }
    }
}

/// fred's own cluster client answers nothing on any node after the first ASK.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_on_the_move_is_followed() {
    let cluster = own::cluster(Options::new()).await;
    let redis = Redis::connect(cluster.url()).await.unwrap();
    let pair = pair(&redis, "moving");
    assert_eq!(add(&redis, &pair).await.unwrap(), 1);
    let slot = pair.left.slot();
    let from = cluster.primary_of(slot).unwrap().address();
    let to = cluster.primaries().into_iter().map(|node| node.address()).find(|node| *node != from).unwrap();

    let mut moving = SlotMove::begin(slot, &from, &to).await.unwrap();
    assert_eq!(add(&redis, &pair).await.unwrap(), 2, "both keys are still at the source");

    moving.move_key(pair.left.as_bytes()).await.unwrap();
    let hasty = redis.with_deadline(Duration::from_millis(100));
    let error = add(&hasty, &pair).await.unwrap_err();
    assert_eq!((error.code(), error.executed()), (Some("TRYAGAIN"), Executed::No), "{error}");
    let left: i64 = redis.command("INCR", &[&pair.left], &Args::new()).await.unwrap();
    assert_eq!(
        left, 3,
        "a key that has gone ahead is found by ASK, and was not touched by the refused script"
    );

    moving.move_key(pair.right.as_bytes()).await.unwrap();
    assert_eq!(add(&redis, &pair).await.unwrap(), 4, "both keys are found by ASK");
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.address()).collect();
    moving.finish(&nodes).await.unwrap();
    for count in 5..50 {
        assert_eq!(add(&redis, &pair).await.unwrap(), count, "the new owner is found by MOVED");
    }
    let right: i64 = redis.command("GET", &[&pair.right], &Args::new()).await.unwrap();
    assert_eq!(right, 48, "every script ran whole, once");
}

/// Many tasks at once, while their slot is passed on: each call runs once, none gets the reply of
/// another.
#[tokio::test(flavor = "multi_thread")]
async fn moving_slots_under_load_lose_and_double_nothing() {
    let cluster = own::cluster(Options::new()).await;
    let redis =
        Redis::builder(cluster.url()).command_deadline(Duration::from_secs(10)).connect().await.unwrap();
    let slot = Tag::of("busy").slot();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let redis = redis.clone();
            tokio::spawn(async move {
                let tag = Tag::of("busy");
                let name = format!("n{task}");
                let own = Pair {
                    left: redis.namespace().part("t", &tag, &name),
                    right: redis.namespace().part("t", &tag, &format!("{name}x")),
                };
                for expected in 1..=400 {
                    assert_eq!(
                        add(&redis, &own).await.unwrap(),
                        expected,
                        "a call ran twice, or its reply is another's"
                    );
                }
            })
        })
        .collect();
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.address()).collect();
    let mut moves = 0;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let from = cluster.primary_of(slot).unwrap().address();
        let to =
            cluster.primaries().into_iter().map(|node| node.address()).find(|node| *node != from).unwrap();
        let mut moving = SlotMove::begin(slot, &from, &to).await.unwrap();
        while moving.move_keys(1).await.unwrap() > 0 {}
        moving.finish(&nodes).await.unwrap();
        moves += 1;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(moves > 0);
    println!("3200 calls during {moves} moves of their slot: 0 lost, 0 doubled");
}

/// A dead primary holds up its own slots only.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_primary_leaves_the_other_slots_alone() {
    let cluster = own::cluster(Options::new()).await;
    let redis = Redis::connect(cluster.url()).await.unwrap();
    let victim = cluster.primary_of(pair(&redis, "a").left.slot()).unwrap().address();
    let on_victim = |id: &String| cluster.primary_of(Tag::of(id).slot()).unwrap().address() == victim;
    let ids: Vec<_> = (0..40).map(|n| format!("id{n}")).collect();
    let (dead, alive): (Vec<_>, Vec<_>) = ids.iter().partition(|id| on_victim(id));
    for id in &ids {
        add(&redis, &pair(&redis, id)).await.unwrap();
    }
    let slot = Tag::of(dead[0]).slot();
    let node = cluster.primary_of(slot).unwrap();
    node.kill().unwrap();
    // The healthy slots answer while the failover has not happened yet.
    for id in &alive {
        assert_eq!(add(&redis, &pair(&redis, id)).await.unwrap(), 2, "a healthy slot was held up");
    }
    // The dead one's come back with the failover; its replica may have missed the last write.
    for id in &dead {
        assert!(add_until_it_works(&redis, &pair(&redis, id), Duration::from_secs(30)).await >= 1);
    }
    assert_old_primary_is_followed_back(&cluster, &redis, &pair(&redis, dead[0])).await;
}

/// The killed node comes back as a replica and takes over by request: MOVED the other way.
async fn assert_old_primary_is_followed_back(cluster: &Cluster, redis: &Redis, pair: &Pair) {
    let dead = cluster.nodes().iter().find(|node| !node.is_up()).unwrap();
    dead.restart().unwrap();
    cluster.wait_healthy().unwrap();
    cluster.failover(pair.left.slot()).unwrap();
    add_until_it_works(redis, pair, Duration::from_secs(30)).await;
}

/// Publishes until the subscription hears it; says whether it was told before that it may have missed some.
async fn publish_until_heard(redis: &Redis, channel: &Key, subscription: &mut Subscription) -> bool {
    let until = Instant::now() + Duration::from_secs(30);
    let mut missed = false;
    for number in 0.. {
        assert!(Instant::now() < until, "nothing was heard any more");
        let word = format!("word {number}");
        if redis.publish(channel, &word).await.is_err() {
            continue;
        }
        let heard = async {
            loop {
                match subscription.next().await.unwrap() {
                    Notice::Missed => missed = true,
                    Notice::Message(message) if message == word => return,
                    Notice::Message(_) => {}
                }
            }
        };
        if tokio::time::timeout(Duration::from_millis(500), heard).await.is_ok() {
            break;
        }
    }
    missed
}

/// fred's own subscriber stays with the dead node until a slot map is read by somebody.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_follows_its_channel_to_the_new_primary() {
    let cluster = own::cluster(Options::new()).await;
    let redis = Redis::connect(cluster.url()).await.unwrap();
    let channel = redis.namespace().key("news", &Tag::of("a"));
    let other = redis.namespace().key("news", &Tag::of("b"));
    assert_ne!(channel.slot(), other.slot());
    let mut subscription = redis.subscribe(&channel).await.unwrap();
    let mut untouched = redis.subscribe(&other).await.unwrap();
    assert!(!publish_until_heard(&redis, &channel, &mut subscription).await);

    let node = cluster.primary_of(channel.slot()).unwrap();
    node.kill().unwrap();
    cluster.wait_new_primary(channel.slot(), node).unwrap();
    assert!(
        publish_until_heard(&redis, &channel, &mut subscription).await,
        "who was cut off must read the state again"
    );
    publish_until_heard(&redis, &other, &mut untouched).await;
    redis.close().await;
    assert_eq!(subscription.next().await.unwrap_err().kind(), ErrorKind::Closed);
}

/// The node that gives the slot away ends the subscription without an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_follows_a_slot_that_was_moved() {
    let cluster = own::cluster(Options::new()).await;
    let redis = Redis::connect(cluster.url()).await.unwrap();
    let channel = redis.namespace().key("news", &Tag::of("a"));
    let mut subscription = redis.subscribe(&channel).await.unwrap();
    let from = cluster.primary_of(channel.slot()).unwrap().address();
    let primaries: Vec<_> = cluster.primaries().into_iter().map(|node| node.address()).collect();
    let to = primaries.iter().find(|node| **node != from).unwrap();
    SlotMove::begin(channel.slot(), &from, to).await.unwrap().finish(&primaries).await.unwrap();
    assert!(
        publish_until_heard(&redis, &channel, &mut subscription).await,
        "the way there may have cost some"
    );
}
