//! What the locks and the idempotency records say of themselves, on a server and a cluster.

mod common;

use common::{examine_with, options};
use redis_idem::{Begin, Fingerprint, Idempotency, Scope};
use redis_lock::{LockOptions, Locks};
use redis_monitor::Report;
use redis_patterns_testkit::harness::{TestRedis, eventually};
use redis_patterns_testkit::on_every_topology;
use std::time::Duration;

async fn look(t: &TestRedis) -> Report {
    examine_with(t.url(), options().namespace(t.redis.namespace().clone())).await
}

fn count(report: &Report, kind: &str) -> u64 {
    report.keys.iter().find(|counted| counted.kind == kind).map_or(0, |counted| counted.estimated)
}

on_every_topology! {
    async fn a_held_lock_its_holder_and_who_waits_are_told(t: TestRedis) {
        let options = LockOptions::default().label("billing").unwrap();
        let locks = Locks::new(t.redis.clone(), options.lease(Duration::from_secs(60)).unwrap());
        let guard = locks.try_lock("invoices & more").await.unwrap().acquired().unwrap();
        let waiter = tokio::spawn({
            let locks = locks.clone();
            async move { locks.lock("invoices & more", Duration::from_secs(60)).await }
        });
        eventually("one waits", || async {
            locks.inspect("invoices & more").await.unwrap().waiting == 1
        }).await;
        let report = look(&t).await;
        let [held] = report.locks.as_slice() else { panic!("{:?}", report.locks) };
        assert_eq!((held.name.as_str(), held.label.as_deref()), ("invoices & more", Some("billing")));
        assert_eq!((held.fence, held.waiting), (guard.fence().unwrap().get(), 1));
        assert!(held.lease_left_s <= 60, "{held:?}");
        assert!(report.to_prometheus().contains("redis_doctor_lock_waiters 1\n"));
        assert_eq!((count(&report, "locks held"), count(&report, "locks waited for")), (1, 1));

        waiter.abort();
        let _ = waiter.await;
        let _ = guard.release().await.unwrap();
        locks.close().await;
        eventually("it is free", || async { look(&t).await.locks.is_empty() }).await;
    }

    async fn pending_and_finished_records_are_told_apart(t: TestRedis) {
        let idem = Idempotency::new(t.redis.clone());
        let body = Fingerprint::of("body");
        let begin = async |key: &str| match idem.begin(&Scope::Global, "pay", key, body).await.unwrap() {
            Begin::Started(claim) => claim,
            other => panic!("{other:?}"),
        };
        let (_pending, done) = (begin("one").await, begin("two").await);
        let _ = done.complete("paid").await.unwrap();
        let report = look(&t).await;
        assert_eq!(count(&report, "idempotency records"), 2);
        assert_eq!(count(&report, "idempotency records pending"), 1);
        assert_eq!(count(&report, "idempotency records done"), 1);
        assert_eq!(count(&report, "idempotency records in doubt"), 0);
    }
}
