//! A command is sent once: what a lost reply, a lost connection and a full stop look like.

use redis_patterns_core::{Args, Error, ErrorKind, Executed, Key, Redis, Script, Tag};
use redis_patterns_testkit::faults::{Match, Proxy};
use redis_patterns_testkit::harness::own;
use redis_patterns_testkit::servers::{Options, Standalone};
use std::time::Duration;

static ADD: Script = Script::new(
    "test/add",
    "#!lua\n-- add: add to a number.\n-- KEYS[1] n\n-- ARGV[1] by\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])",
);

struct Bench {
    server: Standalone,
    proxy: Proxy,
    redis: Redis,
    key: Key,
}

async fn bench() -> Bench {
    let server = own::standalone(Options::new()).await;
    let proxy = Proxy::start(&server.node().address()).await.unwrap();
    let redis = Redis::connect(&proxy.url()).await.unwrap();
    let key = redis.namespace().key("t", &Tag::of("n"));
    Bench { server, proxy, redis, key }
}

impl Bench {
    async fn add(&self) -> Result<i64, Error> {
        self.redis.run(&ADD, &[&self.key], &Args::new().int(1)).await
    }

    async fn incr(&self) -> Result<i64, Error> {
        self.redis.command("INCR", &[&self.key], &Args::new()).await
    }

    /// The count as the server has it, past the proxy.
    fn count(&self) -> i64 {
        let reply = self.server.node().conn().unwrap().cmd(&["GET", self.key.as_str()]).unwrap();
        reply.text().parse().unwrap_or(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_one_execution_and_says_maybe() {
    let bench = bench().await;
    assert_eq!(bench.add().await.unwrap(), 1);
    let mut executions = 1;
    for _ in 0..25 {
        bench.proxy.lose_replies(1, Match::Command("EVALSHA"));
        let error = bench.add().await.unwrap_err();
        assert_eq!(error.executed(), Executed::Maybe, "{error}");
        executions += 1;
        assert_eq!(bench.count(), executions, "the script was sent again");

        bench.proxy.lose_replies(1, Match::Command("INCR"));
        let error = bench.incr().await.unwrap_err();
        assert_eq!(error.executed(), Executed::Maybe, "{error}");
        executions += 1;
        assert_eq!(bench.count(), executions, "the command was sent again");
    }
    assert_eq!(bench.proxy.counts().lost_replies, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_cut_in_the_middle_is_one_execution() {
    let bench = bench().await;
    bench.add().await.unwrap();
    for executed in 2..12 {
        bench.proxy.cut_inside_reply(1, Match::Command("EVALSHA"));
        let error = bench.add().await.unwrap_err();
        assert_eq!(error.executed(), Executed::Maybe, "{error}");
        assert_eq!(bench.count(), executed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_a_timeout_within_the_deadline_and_heals() {
    let bench = bench().await;
    bench.add().await.unwrap();
    bench.proxy.stall();
    let deadline = Duration::from_millis(200);
    let hasty = bench.redis.with_deadline(deadline);
    let error = hasty.run::<i64>(&ADD, &[&bench.key], &Args::new().int(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert!(error.is_outage() && !error.is_retry_safe());
    bench.proxy.resume();
    assert!(bench.add().await.unwrap() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_there_is_no_connection_and_the_error_says_so() {
    let bench = bench().await;
    bench.add().await.unwrap();
    bench.proxy.refuse();
    bench.proxy.cut_all();
    let hasty = bench.redis.with_deadline(Duration::from_millis(150));
    let error = loop {
        let error = hasty.run::<i64>(&ADD, &[&bench.key], &Args::new().int(1)).await.unwrap_err();
        // Until the client has noticed the cut it cannot know, and says so.
        if error.executed() == Executed::No {
            break error;
        }
    };
    assert_eq!((error.kind(), error.executed()), (ErrorKind::NotSent, Executed::No), "{error}");
    assert!(error.is_retry_safe());
    assert_eq!(bench.count(), 1);
}

/// What certainly did not run waits for the connection within its deadline, so that a short
/// break costs a caller latency and no error.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_sent_once_the_connection_is_back() {
    let bench = bench().await;
    bench.add().await.unwrap();
    bench.proxy.cut_all();
    let patient = bench.redis.with_deadline(Duration::from_secs(10));
    let outcome = patient.run::<i64>(&ADD, &[&bench.key], &Args::new().int(1)).await;
    match outcome {
        Ok(count) => assert_eq!(count, 2),
        // The cut was noticed only with this command on the wire.
        Err(error) => assert_eq!(error.executed(), Executed::Maybe),
    }
    assert!(patient.run::<i64>(&ADD, &[&bench.key], &Args::new().int(1)).await.unwrap() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_refuses_before_anything_is_written() {
    let bench = bench().await;
    let mut admin = bench.server.node().conn().unwrap();
    admin.cmd(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let error = bench.add().await.unwrap_err();
    assert_eq!((error.code(), error.executed()), (Some("OOM"), Executed::No), "{error}");
    assert!(!error.is_retry_safe() && error.is_outage());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_stops_half_way_says_maybe() {
    static HALF: Script = Script::new(
        "test/half",
        "#!lua\n-- half: write, then fail.\n-- KEYS[1] n\nredis.call('SET', KEYS[1], 'x')\nreturn redis.call('INCR', KEYS[1])",
    );
    let bench = bench().await;
    let error = bench.redis.run::<i64>(&HALF, &[&bench.key], &Args::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Script, Executed::Maybe), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_quotes_a_key_an_argument_or_a_password() {
    let server = own::standalone(Options::new().password("s3cret-pw")).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let key = redis.namespace().key("t", &Tag::of("private-id"));
    redis.command::<()>("SET", &[&key], &Args::new().bytes("private-value")).await.unwrap();
    let args = Args::new().bytes("private-argument");
    let mut texts = vec![
        redis.command::<i64>("INCR", &[&key], &Args::new()).await.unwrap_err(),
        redis.command::<()>("LPUSH", &[&key], &args).await.unwrap_err(),
        redis.command::<()>("NOSUCHCOMMAND", &[&key], &args).await.unwrap_err(),
        redis.run::<i64>(&ADD, &[&key], &args).await.unwrap_err(),
        redis.command::<i64>("GET", &[&key], &Args::new()).await.unwrap_err(),
    ];
    let wrong = server.url().replace("s3cret-pw", "wr0ng-pw");
    texts.push(Redis::connect(&wrong).await.unwrap_err());
    for error in texts {
        let text = format!("{error} {error:?}");
        for secret in ["s3cret", "wr0ng", "private"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
