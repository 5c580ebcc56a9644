//! Faults that other libraries have had, one test each: what would show if they were here.
//!
//! Those of the HTTP side are tested beside its other answers, in `http`: stored cookies and credentials replayed
//! (`the_first_runs_and_the_same_again_is_replayed`), errors of the moment kept for a day
//! (`what_is_kept_depends_on_the_status`), bodies read without a limit (`a_request_over_the_limit_is_refused`),
//! handlers cut short by a client that goes away (`a_client_that_goes_away_does_not_cut_the_work_short`).
//! What eviction and failover take is in `one_effect`, a wrong clock in `behaviour`
//! (`a_clock_that_is_wrong_lets_nothing_run_twice`), the same schedules in random order in `model`.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, begin, end_lease, key_of, replayed, start, stored};
use redis_idem::{Begin, Completion, Fingerprint, Idempotency, Release, Scope};
use redis_patterns_core::{Args, FieldHasher, Script};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::future::Future as _;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

on_every_topology! {
    /// Completion without an owner check: a slow first run overwrote the outcome of the second.
    async fn a_slow_run_cannot_overwrite_the_one_that_took_over(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let slow = start(&requests, "k").await;
        end_lease(&t.redis, slow.request()).await;
        let second = start(&requests, "k").await;
        assert_eq!(slow.complete("slow").await.unwrap(), Completion::Lost);
        assert_eq!(second.complete("second").await.unwrap(), Completion::Stored);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"second");
    }

    /// The same, with the second run already completed.
    async fn a_slow_run_cannot_overwrite_an_outcome(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let slow = start(&requests, "k").await;
        end_lease(&t.redis, slow.request()).await;
        assert_eq!(start(&requests, "k").await.complete("second").await.unwrap(), Completion::Stored);
        assert_eq!(slow.complete("slow").await.unwrap(), Completion::Lost);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"second");
    }

    /// Deletion without an owner check: a failing first run freed the claim of the second.
    async fn a_slow_run_cannot_free_the_claim_that_took_over(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let slow = start(&requests, "k").await;
        end_lease(&t.redis, slow.request()).await;
        let second = start(&requests, "k").await;
        let before = stored(&t.redis, second.request()).await;
        assert_eq!(slow.release().await.unwrap(), Release::Lost);
        assert_eq!(stored(&t.redis, second.request()).await, before);
        assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
    }

    /// A caller who had waited long enough deleted the claim of the one at work.
    async fn whoever_asks_leaves_the_claim_as_it_is(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let before = stored(&t.redis, claim.request()).await;
        for _ in 0..20 {
            assert!(matches!(begin(&requests, "k", BODY).await, Begin::InProgress { .. }));
            assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
        }
        assert_eq!(stored(&t.redis, claim.request()).await, before, "neither value nor lease moved");
    }

    /// Orphan judged by a read, replaced by a later write: two callers took the same dead claim.
    async fn of_many_who_see_a_dead_claim_one_takes_it(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        for round in 0..10 {
            let key = format!("k{round}");
            end_lease(&t.redis, start(&requests, &key).await.request()).await;
            let tasks: Vec<_> = (0..8).map(|_| {
                let (requests, key) = (requests.clone(), key.clone());
                tokio::spawn(async move { begin(&requests, &key, BODY).await })
            }).collect();
            let mut started = 0;
            for task in tasks {
                if let Begin::Started(claim) = task.await.unwrap() {
                    assert_eq!(claim.attempt(), 2);
                    started += 1;
                }
            }
            assert_eq!(started, 1);
        }
    }

    /// The same, in the order that a model checker found: judged dead, then completed, then replaced.
    async fn a_claim_completed_after_it_was_judged_dead_is_not_taken_over(t: TestRedis) {
        static TAKEOVER: Script = Script::new("takeover", include_str!("../src/scripts/takeover.lua"));
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        let key = key_of(&t.redis, claim.request());
        end_lease(&t.redis, claim.request()).await;
        let seen = stored(&t.redis, claim.request()).await.0.unwrap();
        assert_eq!(claim.complete("paid").await.unwrap(), Completion::Stored);
        t.redis.command::<()>("PEXPIRE", &[&key], &Args::new().int(1_000_000)).await.unwrap();
        let args = Args::new().bytes(&seen[3..20]).int(80_000_000).bytes("a second run").int(86_400_000);
        let (code, _): (i64, bytes::Bytes) = t.redis.run(&TAKEOVER, &[&key], &args).await.unwrap();
        assert_eq!(code, 3);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"paid");
    }

    /// Looked up, then locked: a run that ended in between was run again. Here the claim is the look.
    async fn a_run_that_ends_just_before_is_replayed_not_run_again(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let workers: Vec<_> = (0..8).map(|_| {
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut runs = 0;
                for round in 0..100 {
                    if let Begin::Started(claim) = begin(&requests, &format!("k{round}"), BODY).await {
                        runs += 1;
                        assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
                    }
                }
                runs
            })
        }).collect();
        let mut runs = 0;
        for worker in workers {
            runs += worker.await.unwrap();
        }
        assert_eq!(runs, 100, "each request runs once");
    }

    /// State without a TTL: 409 for ever after a crash.
    async fn nothing_outlives_its_retention(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let _claimed = start(&requests, "claimed").await;
        let _ = start(&requests, "done").await.complete("x").await.unwrap();
        let dead = start(&requests, "taken over").await;
        end_lease(&t.redis, dead.request()).await;
        let _second = start(&requests, "taken over").await;
        let keys = t.keys().await;
        assert_eq!(keys.len(), 3);
        for key in keys {
            assert!((1..=86_400_000).contains(&t.ttl_ms(&key).await));
        }
    }

    /// The client's key was used as it is as the name of a field: `user` read and wrote the session's user.
    async fn a_key_named_like_another_key_touches_only_its_own(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let done = start(&requests, "k").await;
        let record = key_of(&t.redis, done.request()).as_str().to_owned();
        let _ = done.complete("secret").await.unwrap();
        for key in [record.as_str(), record.rsplit(':').next().unwrap(), "user", "k\0", "k:"] {
            let claim = start(&requests, key).await;
            assert_ne!(key_of(&t.redis, claim.request()).as_str(), record);
            let _ = claim.complete("other").await.unwrap();
        }
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"secret");
    }

    /// Fields were joined with a separator, or with nothing, so that two requests had one name.
    async fn fields_that_join_to_the_same_text_are_different_requests(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        for (operation, key) in [("a", "b:c"), ("a:b", "c"), ("ab", ":c"), ("a:", "b:c")] {
            let asked = requests.begin(&Scope::Global, operation, key, Fingerprint::of(BODY)).await;
            assert!(matches!(asked.unwrap(), Begin::Started(_)), "{operation} {key}");
        }
        assert_ne!(Fingerprint::of_fields(&[b"x-a", b"bc"]), Fingerprint::of_fields(&[b"x-ab", b"c"]));
        assert_ne!(Fingerprint::of_fields(&[b"/pay", b""]), Fingerprint::of_fields(&[b"/pay"]));
    }

    /// A hash of 64 bits, or a broken one, lets a client find two bodies of one fingerprint, or of two keys.
    async fn names_and_fingerprints_are_sha_256(t: TestRedis) {
        let claim = start(&Idempotency::new(t.redis.clone()), "k").await;
        let name = FieldHasher::new("redis-idem/key").field("tenant").field("acme").field("POST /pay").field("k");
        assert_eq!(claim.request(), name.finish().to_hex());
        let print = FieldHasher::new("redis-idem/fingerprint").field(BODY).finish();
        assert_eq!(&stored(&t.redis, claim.request()).await.0.unwrap()[20..52], print.as_bytes());
    }

    /// Any failure deleted the claim, so work that had failed half way ran again as if new.
    async fn work_that_failed_half_way_is_not_forgotten(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        assert_eq!(start(&requests, "k").await.abandon().await.unwrap(), Release::Released);
        assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
        assert_eq!(start(&requests, "k").await.attempt(), 2, "the next one knows that it is not the first");
    }

    /// The request's hash was lost when the outcome was stored: any body was replayed.
    async fn the_fingerprint_survives_completion(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let _ = start(&requests, "k").await.complete("x").await.unwrap();
        assert!(matches!(begin(&requests, "k", "other").await, Begin::Mismatch));
    }

    /// Replays took the lock, so that two at once refused each other.
    async fn replays_do_not_get_in_each_others_way(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let _ = start(&requests, "k").await.complete("x").await.unwrap();
        let replays: Vec<_> = (0..32).map(|_| {
            let requests = requests.clone();
            tokio::spawn(async move { replayed(begin(&requests, "k", BODY).await) })
        }).collect();
        for replay in replays {
            assert_eq!(replay.await.unwrap(), b"x");
        }
    }

    /// A client that went away cut the work short, and its claim was deleted: the half-done work ran again
    /// at once. A dropped claim keeps its lease; a dropped `begin` gives back what it may have been granted.
    async fn a_dropped_begin_gives_its_claim_back(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let _ = start(&requests, "warm").await.release().await.unwrap();
        let scope = Scope::Global;
        let mut asked = Box::pin(requests.begin(&scope, "op", "k", Fingerprint::of("")));
        let polled = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
        // The command is under way; nobody will hear its answer.
        drop(asked);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !matches!(requests.begin(&scope, "op", "k", Fingerprint::of("")).await.unwrap(), Begin::Started(_)) {
            assert!(Instant::now() < deadline, "the claim that nobody received stayed");
        }
    }

    /// A takeover that nobody receives keeps the count: its `release` must not forget the first attempt.
    async fn a_dropped_takeover_keeps_the_count(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let first = start(&requests, "k").await;
        end_lease(&t.redis, first.request()).await;
        let scope = Scope::tenant("acme");
        for _ in 0..20 {
            let asked = requests.begin(&scope, "POST /pay", "k", Fingerprint::of(BODY));
            let _ = tokio::time::timeout(Duration::from_micros(300), asked).await;
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        let attempt = loop {
            match begin(&requests, "k", BODY).await {
                Begin::Started(claim) => break claim.attempt(),
                Begin::InProgress { .. } => end_lease(&t.redis, first.request()).await,
                other => panic!("{other:?}"),
            }
            assert!(Instant::now() < deadline, "the request never ran again");
        };
        assert!(attempt > 1, "the first attempt was forgotten");
    }

    /// A server without the script, as after a restart or failover, failed every completion.
    async fn a_server_that_forgot_the_scripts_completes_all_the_same(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let claim = start(&requests, "k").await;
        for mut node in t.admin_nodes() {
            node.cmd(&["SCRIPT", "FLUSH"]).unwrap();
        }
        assert_eq!(claim.complete("x").await.unwrap(), Completion::Stored);
        assert_eq!(replayed(begin(&requests, "k", BODY).await), b"x");
    }
}

#[cfg(feature = "json")]
on_every_topology! {
    /// The stored bytes named the type to make of them. Here the reader does, and what does not fit is an error.
    async fn an_outcome_of_another_type_is_an_error_and_runs_nothing(t: TestRedis) {
        let requests = Idempotency::new(t.redis.clone());
        let _ = start(&requests, "k").await.complete(r#"{"$type":"Everything"}"#).await.unwrap();
        let work = |_| async { panic!("it ran") };
        let scope = Scope::tenant("acme");
        let run = requests.run_json::<u64, _, _>(&scope, "POST /pay", "k", Fingerprint::of(BODY), work).await;
        assert!(run.is_err());
    }
}
