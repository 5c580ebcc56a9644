//! A lock seen from outside, and taken from its holder by force.

#![allow(clippy::unwrap_used)]

use redis_lock::{Error, Forced, LockOptions, Locks, Lost, Released};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn locks(t: &TestRedis) -> Locks {
    Locks::new(t.redis.clone(), LockOptions::new().lease(MINUTE).unwrap())
}

async fn waiting_is(locks: &Locks, how_many: u64) {
    eventually("who waits is seen", async || locks.inspect("a").await.unwrap().waiting == how_many).await;
}

on_every_topology! {
    async fn holder_and_queue_are_seen_and_not_changed(t: TestRedis) {
        let options = LockOptions::new().lease(MINUTE).unwrap().label("host-7.exports").unwrap();
        let locks = Locks::new(t.redis.clone(), options);
        let free = locks.inspect("a").await.unwrap();
        assert_eq!((free.holder, free.waiting), (None, 0));
        assert_eq!(t.keys().await.len(), 0);
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let waiting = tokio::spawn({ let locks = locks.clone(); async move { locks.lock("a", MINUTE).await } });
        waiting_is(&locks, 1).await;
        let seen = locks.inspect("a").await.unwrap();
        let holder = seen.holder.unwrap();
        assert_eq!(holder.fence, guard.fence().unwrap());
        assert!(holder.lease_left <= MINUTE && holder.lease_left > MINUTE / 2);
        assert_eq!(holder.label.as_deref(), Some("host-7.exports"));
        assert!(holder.held_for < MINUTE);
        assert_eq!(seen.revoked, []);
        waiting.abort();
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
    }

    async fn force_frees_the_holder_that_was_seen_and_no_newer_one(t: TestRedis) {
        let options = LockOptions::new().lease(MINUTE).unwrap();
        let mine = Locks::new(t.redis.clone(), options.clone());
        let operator = Locks::new(t.redis.clone(), options.label("operator").unwrap());
        let first = mine.try_lock("a").await.unwrap().acquired().unwrap();
        let seen = mine.inspect("a").await.unwrap().holder.unwrap().fence;
        let Forced::Freed { above } = operator.force_release("a", seen).await.unwrap() else {
            panic!("it was held under that fence");
        };
        assert!(above > seen);
        assert_eq!(operator.force_release("a", seen).await.unwrap(), Forced::FreeAlready);
        let second = mine.try_lock("a").await.unwrap().acquired().unwrap();
        assert!(second.fence().unwrap() > above, "sealing `above` would shut the next holder out");
        assert_eq!(operator.force_release("a", seen).await.unwrap(), Forced::HeldByNewer);
        let found = mine.inspect("a").await.unwrap();
        assert_eq!(found.revoked.len(), 1);
        assert_eq!((found.revoked[0].fence, found.revoked[0].by.as_deref()), (seen, Some("operator")));
        assert!(found.revoked[0].ago < MINUTE);
        assert!(matches!(first.extend().await, Err(Error::Lost(Lost::Revoked))));
        assert_eq!(first.fence(), Err(Lost::Revoked));
        assert_eq!(first.release().await.unwrap(), Released::Lapsed);
        assert_eq!(second.release().await.unwrap(), Released::InTime);
    }

    /// The clock does not help where the last fence is ahead of it: the raised one has to be kept.
    async fn the_fence_of_a_force_release_is_never_issued_again(t: TestRedis) {
        let locks = locks(&t);
        let fence = t.redis.namespace().part("lock", &Tag::of("a"), "f");
        let ahead = Args::new().int(9_000_000_000_000_000).word("PX").int(60_000);
        t.redis.command::<()>("SET", &[&fence], &ahead).await.unwrap();
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let Forced::Freed { above } = locks.force_release("a", guard.fence().unwrap()).await.unwrap() else {
            panic!("it was held");
        };
        assert!(above > guard.fence().unwrap());
        let next = locks.try_lock("a").await.unwrap().acquired().unwrap();
        assert!(next.fence().unwrap() > above);
    }

    async fn a_renewed_holder_learns_that_it_was_revoked(t: TestRedis) {
        let options = LockOptions::new().lease(Duration::from_secs(2)).unwrap();
        let locks = Locks::new(t.redis.clone(), options.renewed_for_at_most(MINUTE).unwrap());
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let fence = guard.fence().unwrap();
        assert!(matches!(locks.force_release("a", fence).await.unwrap(), Forced::Freed { .. }));
        assert_eq!(tokio::time::timeout(MINUTE, guard.lost()).await.unwrap(), Lost::Revoked);
    }

    async fn the_list_of_the_revoked_is_short_and_has_a_ttl(t: TestRedis) {
        let locks = locks(&t);
        for _ in 0..20 {
            let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
            let _ = locks.force_release("a", guard.fence().unwrap()).await.unwrap();
            let _ = guard.release().await.unwrap();
        }
        let found = locks.inspect("a").await.unwrap().revoked;
        assert_eq!(found.len(), 16);
        assert!(found.is_sorted_by(|newer, older| newer.fence > older.fence));
        for key in t.keys().await {
            assert!(t.ttl_ms(&key).await > 0, "{key} is immortal");
        }
    }

    async fn who_waits_is_served_after_force(t: TestRedis) {
        let locks = locks(&t);
        let guard = locks.try_lock("a").await.unwrap().acquired().unwrap();
        let fence = guard.fence().unwrap();
        let waiting = tokio::spawn({ let locks = locks.clone(); async move { locks.lock("a", MINUTE).await } });
        waiting_is(&locks, 1).await;
        assert!(matches!(locks.force_release("a", fence).await.unwrap(), Forced::Freed { .. }));
        let next = tokio::time::timeout(MINUTE / 2, waiting).await.unwrap().unwrap().unwrap().acquired();
        assert!(next.unwrap().fence().unwrap() > fence);
    }
}

#[test]
fn labels_that_could_be_mistaken_are_refused() {
    for label in ["", "a:b", "a@b", "a b", "\n", "ä", &"x".repeat(65)] {
        assert!(matches!(LockOptions::new().label(label), Err(Error::Options(_))), "{label:?}");
    }
}
